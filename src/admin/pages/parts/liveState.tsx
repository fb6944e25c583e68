import { live } from "../data/live.js";
import { useStore } from "../data/store.js";

const words = { connecting: "connecting", open: "connected", waiting: "reconnecting", closed: "refused" };

/** Whether the server pushes to this page. */
export function LiveState() {
  const state = useStore(live.state);
  return <span class={`state ${state === "open" ? "good" : "bad"}`}>{words[state]}</span>;
}
