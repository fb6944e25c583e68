import { connect } from "/enfilade/client/index.js";
import { element, onPress } from "./element.js";

/** The frame of each page: who is signed in, the sign-out, and the connection with its state. */

/** A session that has ended (PROTOCOL.md). */
const unauthorized = 4501;

/** The person who is signed in: `{ id, name }`. */
export const me = await loadMe();
element("my-name").textContent = me.name;
onPress(element("sign-out"), signOut);

/** Connects to a room and shows the state of the connection. The client reconnects by itself when it breaks. */
export function join(path) {
  let wasOpen = false;
  const room = connect(path);
  showState("connecting", wasOpen);
  room.on("state", (state, { code }) => {
    if (code === unauthorized) return goToSignIn();
    wasOpen ||= state === "open";
    showState(state, wasOpen);
  });
  // The state shows each of these.
  room.on("error", (error) => error.code === "ERR_CONNECTION" || console.error(error));
  return room;
}

/** Sends a request to the API. Resolves with the response; goes to the sign-in page if the session has ended. */
export async function callAPI(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(`/api${path}`, { method, headers, body: JSON.stringify(body) });
  if (response.status === 401) goToSignIn();
  return response;
}

function showState(state, wasOpen) {
  const isOpen = state === "open";
  element("state").hidden = false;
  element("state").dataset.state = isOpen ? "connected" : "disconnected";
  element("state").textContent = isOpen ? "connected" : wasOpen ? "reconnecting" : "connecting";
  if (state === "closed") element("state").textContent = "closed";
  const banner = element("banner");
  banner.hidden = isOpen || (state === "connecting" && banner.hidden);
  banner.textContent = wasOpen
    ? "The connection was lost. What you write is sent when it is back."
    : "The server cannot be reached. Trying again.";
  if (state === "closed") banner.textContent = "The server has closed the connection. Reload the page.";
}

async function loadMe() {
  const response = await fetch("/api/me");
  if (response.status === 401) goToSignIn();
  return response.json();
}

async function signOut() {
  await fetch("/sign-out", { method: "POST" });
  location.assign("/sign-in");
}

function goToSignIn() {
  location.assign(`/sign-in?${new URLSearchParams({ next: location.pathname + location.search })}`);
}
