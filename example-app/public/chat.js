import { showLobby } from "./lobby.js";
import { openRoom } from "./room.js";

const [, channel] = /^\/c\/([^/]+)\/?$/.exec(location.pathname) ?? [];

if (channel === undefined) showLobby();
else openRoom(decodeURIComponent(channel));
