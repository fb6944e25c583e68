/**
 * The time and the timers of an app. A test can pass a `ManualClock` of `enfilade/testing` as the option `clock`.
 *
 * Default: the clock and the timers of the process.
 */
export interface Clock {
  /** Milliseconds since a fixed moment; never decreases. */
  now(): number;
  /** Calls `callback` once after `ms` milliseconds. The timer must not keep the process alive. */
  setTimeout(callback: () => void, ms: number): Timer;
}

/** A timer of a {@link Clock}. */
export interface Timer {
  /** Prevents the call; does nothing if the timer has fired. */
  cancel(): void;
}

/** The longest delay of a Node timer (2^31 - 1 ms); a longer one would fire at once. */
export const timerMsMax = 0x7fff_ffff;

/** The clock and the timers of the process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** The result of {@link within} when the time is up. */
export const timeIsUp = Symbol("time is up");

/** Settles as `promise` does, or resolves with {@link timeIsUp} after `ms`; `promise` may then reject unnoticed. */
export async function within<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | typeof timeIsUp> {
  const { promise: late, resolve } = deferred<typeof timeIsUp>();
  const timer = clock.setTimeout(() => resolve(timeIsUp), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.cancel();
  }
}

/** A promise and the functions that settle it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
