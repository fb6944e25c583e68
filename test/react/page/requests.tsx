import { type ReactNode, useState } from "react";
import { useRequest } from "../../../src/react/index.js";
import { Button, clock, type TestRoom, Toggle, useTestRoom } from "./parts.js";

interface RequesterProps {
  readonly room: TestRoom;
}

/** Reports the outcome of a promise, also after the component that sent the request has unmounted. */
type Report = (text: string) => void;

function Slow({ room, report }: RequesterProps & { readonly report: Report }): ReactNode {
  const { request, data, error, isPending, reset } = useRequest(room, "slow");
  const send = (name: string) => {
    request(name).then(
      (reply) => report(reply),
      (reason: Error) => report(reason.message),
    );
  };
  return (
    <>
      <p>
        slow: {isPending ? "pending" : "idle"}, data {data ?? "none"}, error {error?.message ?? "none"}
      </p>
      <Button name="send one" onClick={() => send("one")} />
      <Button name="send two" onClick={() => send("two")} />
      <Button name="reset" onClick={reset} />
    </>
  );
}

function Failing({ room }: RequesterProps): ReactNode {
  const { request, error, isPending } = useRequest(room, "fail");
  const code = error && "code" in error ? String(error.code) : "none";
  return (
    <>
      <p>
        fail: {isPending ? "pending" : "idle"}, code {code}
      </p>
      {/* The promise is ignored: the error is shown above. */}
      <Button name="fail" onClick={() => request()} />
    </>
  );
}

export function Requests(): ReactNode {
  const [path, setPath] = useState<string | null>("/chat/a");
  const [reported, setReported] = useState<readonly string[]>([]);
  const { room, state } = useTestRoom(path, { clock });
  return (
    <>
      <p>the room is {state}</p>
      <p>reported: [{reported.join(", ")}]</p>
      <Toggle name="slow">
        <Slow room={room} report={(text) => setReported((all) => [...all, text])} />
      </Toggle>
      <Failing room={room} />
      <Button name="to b" onClick={() => setPath("/chat/b")} />
      <Button name="to none" onClick={() => setPath(null)} />
    </>
  );
}
