import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";

/** Ignores texts for people, as in errors and logs: strings with a space. Names, keys and codes have none. */
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, "texts", { shouldIgnore })];

function shouldIgnore(path) {
  return textOf(path.node).includes(" ") ? "a text for people" : undefined;
}

function textOf(node) {
  if (node.type === "StringLiteral") return node.value;
  if (node.type === "TemplateLiteral") return node.quasis.map(({ value }) => value.raw).join("");
  return "";
}
