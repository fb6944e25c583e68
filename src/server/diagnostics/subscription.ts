import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Application } from "../../handler/application.js";
import type { DiagnosticMessages } from "./messages.js";

/** Calls `listener` with each message of one app on a diagnostics channel; returns a function that ends it. */
export function subscribeTo<Name extends keyof DiagnosticMessages>(
  app: Application,
  name: Name,
  listener: (message: DiagnosticMessages[Name]) => void,
): () => void {
  const onMessage = (message: unknown) => {
    // Each channel has one type of message, but the types of Node have `unknown`.
    const typed = message as DiagnosticMessages[Name];
    if (typed.app === app) listener(typed);
  };
  subscribe(name, onMessage);
  return () => unsubscribe(name, onMessage);
}
