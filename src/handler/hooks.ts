const hooks = [
  ...["serve", "onJSON", "onMessage", "onBinary", "authorize", "onConnect", "onClose", "onDrain", "onError"],
  ...["authorizeJoin", "onRoomJoin", "onRoomLeave"],
];
/** What other libraries, and another English, call them. */
const aliases = new Map([
  ["authorise", "authorize"],
  ["authenticate", "authorize"],
  ["authorisejoin", "authorizeJoin"],
  ["ondisconnect", "onClose"],
]);

/** Methods of a class that look like a hook and are none: what they mean to do, and above all to forbid, is not done. */
export function misspelledHooks(handlerClass: object): { readonly name: string; readonly hook: string }[] {
  const names = new Set<string>();
  // The class a handler extends has the hooks themselves as types only, so nothing of it is named here.
  const prototype: object | null = Reflect.get(handlerClass, "prototype");
  for (let at = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  }
  const misspelled = [...names].flatMap((name) => {
    const lower = name.toLowerCase();
    const hook = hooks.find((one) => one.toLowerCase() === lower) ?? aliases.get(lower);
    return hook === undefined || hook === name ? [] : { name, hook };
  });
  const isStatic = typeof Reflect.get(handlerClass, "authorize") === "function";
  return isStatic ? [...misspelled, { name: "static authorize", hook: "authorize" }] : misspelled;
}
