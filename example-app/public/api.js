import { element, make } from "./element.js";
import "./page.js";
import { typeText } from "./typeText.js";

/** Shows the AsyncAPI document of the server. All texts of it are shown as text. */

try {
  const response = await fetch("/asyncapi.json");
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  show(await response.json());
} catch (error) {
  element("problem").textContent = `The document cannot be loaded: ${error.message}`;
}

function show(document) {
  const cards = Object.entries(document.channels).map(([id, channel]) => channelCard(document, id, channel));
  element("channels").replaceChildren(...cards);
}

function channelCard(document, id, channel) {
  const card = make("section", "api-channel");
  const title = make("h2", "", channel.address);
  title.id = `channel-${id}`;
  card.setAttribute("aria-labelledby", title.id);
  card.append(title, make("p", "hint", describeChannel(channel)));
  const reference = `#/channels/${id}`;
  const operations = Object.values(document.operations).filter((operation) => operation.channel.$ref === reference);
  if (operations.length === 0) card.append(make("p", "", "This room has no contract."));
  for (const operation of operations) card.append(operationItem(document, operation));
  return card;
}

function describeChannel({ title, parameters = {} }) {
  const described = Object.entries(parameters).flatMap(([name, { description }]) => {
    return description === undefined ? [] : [`${name}: ${description}`];
  });
  return [`Handler ${title}.`, ...described].join(" ");
}

function operationItem(document, { action, summary, messages, reply }) {
  const message = find(document, messages[0].$ref);
  const item = make("article", "api-event");
  const head = make("h3", "api-name", message.name);
  head.append(" ", make("span", "api-action", action === "receive" ? "from clients" : "to clients"));
  item.append(head);
  if (summary !== undefined) item.append(make("p", "hint", summary));
  const types = make("dl", "api-types");
  addType(types, "data", document, message);
  if (reply !== undefined) addType(types, "reply", document, find(document, reply.messages[0].$ref));
  item.append(types, schemaDetails(message));
  return item;
}

function addType(list, name, document, { payload }) {
  const { data } = payload.properties ?? { data: payload };
  const text = data === undefined ? "none" : typeText(document, data);
  const value = make("dd", "");
  value.append(make("code", "", text));
  list.append(make("dt", "", name), value);
}

function schemaDetails({ name, payload }) {
  const details = make("details", "");
  const summary = make("summary", "", "JSON Schema");
  summary.setAttribute("aria-label", `JSON Schema of ${name}`);
  details.append(summary, make("pre", "api-schema", JSON.stringify(payload, null, 2)));
  return details;
}

/** The part of the document that a reference names, through references to other places. */
function find(document, reference) {
  const found = reference
    .split("/")
    .slice(1)
    .reduce((part, key) => part?.[decodeURIComponent(key)], document);
  return found?.$ref === undefined ? found : find(document, found.$ref);
}
