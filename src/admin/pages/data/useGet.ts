import { useEffect, useState } from "preact/hooks";
import { CallError, get, type Params, urlOf } from "./calls.js";

/** The answer of a call, as far as it is known. */
export interface Loaded<T> {
  /** The last answer; it stays while the next one is loaded. */
  readonly value: T | undefined;
  /** The error of the last call. */
  readonly error: CallError | undefined;
  readonly isLoading: boolean;
  reload(): void;
}

interface State<T> {
  readonly value: T | undefined;
  readonly error: CallError | undefined;
  /** The call that was answered. */
  readonly call: string | undefined;
}

/** Loads when the component appears, when the parameters change, on `reload()`, and every `everyMs` if it is set. */
export function useGet<T>(name: string, params: Params = {}, everyMs?: number): Loaded<T> {
  const url = urlOf(name, params);
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<State<T>>({ value: undefined, error: undefined, call: undefined });
  const call = `${turn} ${url}`;
  useEffect(() => {
    const end = new AbortController();
    let timer = 0;
    const load = async () => {
      try {
        const value = await get<T>(url, end.signal);
        setState({ value, error: undefined, call });
      } catch (error) {
        if (end.signal.aborted) return;
        setState(({ value }) => ({ value, error: asCallError(error), call }));
      }
      if (everyMs !== undefined && !end.signal.aborted) timer = window.setTimeout(load, everyMs);
    };
    void load();
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [url, call, everyMs]);
  const reload = () => setTurn((last) => last + 1);
  return { value: state.value, error: state.error, isLoading: state.call !== call, reload };
}

export function asCallError(error: unknown): CallError {
  return error instanceof CallError ? error : new CallError("failed", String(error), 0);
}
