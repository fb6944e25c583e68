import { connect } from "enfilade/client";
import type { Sums } from "./sums.js";

/** The client's code of a page, which is bundled and runs in one. */
export async function add(url: string, show: (text: string) => void): Promise<void> {
  const room = connect<Sums>(url);
  room.on("message", ({ data }) => show(JSON.stringify(data)));
  const sum: number = await room.request("add", { a: 1, b: 2 });
  show(`the sum is ${sum}`);
  // @ts-expect-error: there is no such event.
  await room.request("subtract", { a: 1, b: 2 }).catch(({ code }: { code: string }) => show(code));
}
