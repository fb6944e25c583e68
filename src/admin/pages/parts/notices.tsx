import type { CallError } from "../data/calls.js";
import { formatCount, visible } from "./format.js";

/** The error of a call, with a button that repeats it. */
export function Failure({ error, retry }: { readonly error: CallError; retry(): void }) {
  return (
    <div class="notice bad" role="alert">
      <p>{visible(error.message)}</p>
      <button type="button" onClick={retry}>
        Try again
      </button>
    </div>
  );
}

/** Names the nodes that did not answer in time. */
export function Missing({ nodes }: { readonly nodes: readonly string[] }) {
  if (nodes.length === 0) return null;
  const names = nodes.map((node) => visible(node)).join(", ");
  return (
    <p class="notice" role="status">
      {formatCount(nodes.length, "node")} did not answer in time, and {nodes.length === 1 ? "its" : "their"} data is
      missing here: {names}
    </p>
  );
}
