import { useCallback, useInsertionEffect, useRef } from "react";

/** Returns a function that is the same in each render, and calls the `callback` of the last one. */
export function useLatest<Args extends readonly unknown[], Result>(
  callback: (...args: Args) => Result,
): (...args: Args) => Result {
  const latest = useRef(callback);
  // Before all other effects, so that none of them calls the function of an earlier render.
  useInsertionEffect(() => {
    latest.current = callback;
  });
  return useCallback((...args: Args) => latest.current(...args), []);
}
