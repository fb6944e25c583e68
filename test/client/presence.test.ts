import { describe, expect, it } from "vitest";
import { connectScripted, type Peer, waitForState, watch } from "./scripted.js";

const [ann, bob, cid] = ["ann", "bob", "cid"].map((id) => ({ id, connections: 1 }));

function sendPresence(peer: Peer, version: number, fields: object): void {
  peer.send({ type: "presence", room: "/chat/general", version, ...fields });
}

describe("presence", () => {
  it("is empty before the first roster, and then kept current", async () => {
    const { room, peers } = await connectScripted();
    const reported = watch(room, "presence");
    expect(room.presence).toEqual({ count: 0, version: 0, users: [] });
    const peer = await peers.take();
    peer.welcome();
    sendPresence(peer, 4, { count: 2, users: [ann, bob] });
    sendPresence(peer, 5, { count: 2, joined: [cid], left: ["ann"] });
    expect(await reported.have(2)).toEqual([
      { count: 2, version: 4, users: [ann, bob] },
      { count: 2, version: 5, users: [bob, cid] },
    ]);
    expect(room.presence).toBe(reported.all[1]);
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
  });

  it("requests the roster once if a version is missing, and shows no wrong users", async () => {
    const { room, peers } = await connectScripted();
    const reported = watch(room, "presence");
    const peer = await peers.take();
    peer.welcome();
    sendPresence(peer, 4, { count: 1, users: [ann] });
    sendPresence(peer, 6, { count: 2, joined: [cid], left: [] });
    sendPresence(peer, 7, { count: 3, joined: [bob], left: [] });
    await peer.roundtrip();
    expect(peer.received.all).toEqual([{ type: "watch" }]);
    expect(reported.all).toHaveLength(1);
    sendPresence(peer, 7, { count: 2, users: [cid, bob] });
    sendPresence(peer, 7, { count: 9, joined: [ann], left: [] });
    sendPresence(peer, 8, { count: 1, joined: [], left: ["cid"] });
    await reported.have(3);
    expect(room.presence).toEqual({ count: 1, version: 8, users: [bob] });
    sendPresence(peer, 10, { count: 0, joined: [], left: ["bob"] });
    await peer.roundtrip();
    expect(peer.received.all).toEqual([{ type: "watch" }, { type: "watch" }]);
  });

  it("has only the count where only the count is kept", async () => {
    const { room, peers } = await connectScripted();
    const reported = watch(room, "presence");
    const peer = await peers.take();
    peer.welcome();
    sendPresence(peer, 1, { count: 3 });
    sendPresence(peer, 5, { count: 7 });
    expect(await reported.have(2)).toEqual([
      { count: 3, version: 1, users: [] },
      { count: 7, version: 5, users: [] },
    ]);
    await peer.roundtrip();
    expect(peer.received.all).toEqual([]);
  });

  it("of another room does not change that of the home", async () => {
    const { room, peers } = await connectScripted();
    const reported = watch(room, "presence");
    const peer = await peers.take();
    peer.welcome();
    peer.send({ type: "presence", room: "/chat/other", version: 9, count: 1, users: [cid] });
    sendPresence(peer, 1, { count: 1, users: [ann] });
    expect(await reported.have(1)).toEqual([{ count: 1, version: 1, users: [ann] }]);
  });

  it("stays while there is no connection, and the next roster replaces it", async () => {
    const { room, peers, clock } = await connectScripted();
    const reported = watch(room, "presence");
    const first = await peers.take();
    first.welcome();
    sendPresence(first, 40, { count: 2, users: [ann, bob] });
    await reported.have(1);
    first.terminate();
    await waitForState(room, "waiting");
    expect(room.presence.count).toBe(2);
    clock.advance(500);
    const second = await peers.take();
    second.welcome();
    sendPresence(second, 1, { count: 1, users: [cid] });
    sendPresence(second, 2, { count: 2, joined: [ann], left: [] });
    await reported.have(3);
    expect(room.presence).toEqual({ count: 2, version: 2, users: [cid, ann] });
  });

  it("accepts any id of a user", async () => {
    const { room, peers } = await connectScripted();
    const reported = watch(room, "presence");
    const peer = await peers.take();
    peer.welcome();
    const users = ["__proto__", "constructor", "toString"].map((id) => ({ id, connections: 1 }));
    sendPresence(peer, 1, { count: 3, users });
    sendPresence(peer, 2, { count: 2, joined: [], left: ["constructor"] });
    await reported.have(2);
    expect(room.presence.users.map(({ id }) => id)).toEqual(["__proto__", "toString"]);
    expect(Reflect.get({}, "connections")).toBeUndefined();
  });
});
