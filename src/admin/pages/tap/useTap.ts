import { useEffect, useRef, useState } from "preact/hooks";
import type { LiveFilter } from "../../api.js";
import { live } from "../data/live.js";
import { EntryBuffer } from "./entryBuffer.js";

export type TapState = "stopped" | "running" | "paused";

/** One tap of this page. */
export interface PageTap {
  readonly state: TapState;
  readonly buffer: EntryBuffer;
  /** Changes with each rendering that has new entries. */
  readonly version: number;
  /** Why the server refused the tap; empty if it did not. */
  readonly problem: string;
  start(filter: LiveFilter): void;
  /** Ends the tap on the server, and keeps its entries. */
  pause(): void;
  /** Starts it again with the last filter. */
  resume(): void;
  clear(): void;
}

/** Keeps the entries outside the state of the component: they are shown once per frame, however many arrive. */
export function useTap(): PageTap {
  const [buffer] = useState(() => new EntryBuffer());
  const [state, setState] = useState<TapState>("stopped");
  const [version, setVersion] = useState(0);
  const [problem, setProblem] = useState("");
  const filter = useRef<LiveFilter>({});
  const end = useRef<(() => void) | undefined>(undefined);
  const frame = useRef(0);
  const show = () => {
    frame.current ||= requestAnimationFrame(() => {
      frame.current = 0;
      setVersion((last) => last + 1);
    });
  };
  const stop = (next: TapState) => {
    end.current?.();
    end.current = undefined;
    setState(next);
  };
  const run = () => {
    end.current?.();
    setProblem("");
    end.current = live.tap(
      filter.current,
      (batch) => {
        buffer.add(batch);
        show();
      },
      (reason) => {
        setProblem(reason);
        stop("stopped");
      },
    );
    setState("running");
  };
  const clear = () => {
    buffer.clear();
    show();
  };
  useEffect(
    () => () => {
      end.current?.();
      cancelAnimationFrame(frame.current);
    },
    [],
  );
  const start = (next: LiveFilter) => {
    filter.current = next;
    clear();
    run();
  };
  return { state, buffer, version, problem, start, pause: () => stop("paused"), resume: run, clear };
}
