/** Time as the library reads it; another one may be passed to the app, so that a test decides what the time is. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Calls `callback` once after `ms`; the timer does not keep the process alive. */
  setTimeout(callback: () => void, ms: number): Timer;
}

export interface Timer {
  /** Does nothing when the timer has fired. */
  cancel(): void;
}

/** Delays of Node's timers end here (2^31 - 1); a longer one would fire at once. */
export const timerMsMax = 0x7fff_ffff;

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** What {@link within} resolves with when the time was up. */
export const timeIsUp = Symbol("time is up");

/** What `promise` settles to, or {@link timeIsUp} after `ms`; the promise goes on, and its late rejection is ignored. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | typeof timeIsUp> {
  const { promise: late, resolve } = deferred<typeof timeIsUp>();
  const timer = clock.setTimeout(() => resolve(timeIsUp), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.cancel();
  }
}

/** A promise and what settles it. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
