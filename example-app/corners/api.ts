import type { App, Extension } from "enfilade";

/** Publishes the routes and contracts of the app as a document of AsyncAPI, for the page "API" and for programs. */
export function publishAPI(app: App): Extension {
  let text: string | undefined;
  const info = {
    title: "Enfilade example",
    version: "1.0.0",
    description: "The rooms of the example, and the events of those with a contract.",
  };
  return {
    name: "asyncapi",
    path: "/asyncapi.json",
    onRequest() {
      // Made once, since routes do not change while the app runs.
      text ??= JSON.stringify(app.asyncapi({ info, include: ({ pattern }) => !pattern.startsWith("/admin/") }));
      return new Response(text, { headers: { "content-type": "application/json" } });
    },
  };
}
