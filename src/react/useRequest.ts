import { useCallback, useRef, useState } from "react";
import { asError, RequestError } from "../client/errors.js";
import type { EventArguments, EventName, EventReply } from "../client/events.js";
import type { RequestOptions } from "../client/messages/request.js";
import type { ClientRoom } from "../client/room.js";

/** The result of {@link useRequest}. */
export interface UseRequestResult<Client, Event extends EventName<Client, Server>, Server = unknown> {
  /**
   * Sends the event and resolves with the reply, as `room.request` does; the arguments are its data and options. It is
   * the same function until the room or the event changes.
   *
   * A caller that ignores the promise needs no `catch`: the error is also in `error`. Without a room, it rejects with
   * the code `closed`.
   */
  readonly request: (
    ...args: EventArguments<Client, Event, [options?: RequestOptions], Server>
  ) => Promise<EventReply<Client, Event, Server>>;
  /** The last reply; it stays while the next request is pending or after it has failed. */
  readonly data: EventReply<Client, Event, Server> | undefined;
  /** The error of the last request, such as a `RequestError`; `undefined` while it is pending or after a reply. */
  readonly error: Error | undefined;
  /** True while the last request has no reply. */
  readonly isPending: boolean;
  /** Removes `data` and `error`. The outcome of a pending request is ignored; its promise still settles. */
  readonly reset: () => void;
}

/** The outcome of the last request. */
interface Outcome<Reply> {
  /** Changes with the room and the event: the outcome belongs to these. */
  readonly of?: unknown;
  readonly data?: Reply | undefined;
  readonly error?: Error | undefined;
  readonly isPending: boolean;
}

const none: Outcome<never> = { isPending: false };

/**
 * Sends requests to the handler and renders the component with the outcome of the last one. It sends nothing by itself.
 *
 * If several requests are pending, only the outcome of the last one counts. After a change of the room or the event,
 * the result is that of a component that has not sent a request.
 *
 * @param room The room of {@link useRoom}.
 */
export function useRequest<Client, Server, Event extends EventName<Client, Server>>(
  room: ClientRoom<Client, Server> | undefined,
  event: Event,
): UseRequestResult<Client, Event, Server> {
  type Reply = EventReply<Client, Event, Server>;
  type Arguments = EventArguments<Client, Event, [options?: RequestOptions], Server>;
  const [outcome, setOutcome] = useState<Outcome<Reply>>(none);
  const last = useRef<Promise<Reply>>(undefined);

  const request = useCallback(
    function send(...args: Arguments): Promise<Reply> {
      const reply = room ? room.request(event, ...args) : Promise.reject(noRoom(event));
      last.current = reply;
      setOutcome(({ of, data }) => ({ of: send, data: of === send ? data : undefined, isPending: true }));
      const settle = (settled: Pick<Outcome<Reply>, "data" | "error">) => {
        if (last.current === reply) setOutcome(({ data }) => ({ of: send, data, ...settled, isPending: false }));
      };
      reply.then(
        (data) => settle({ data }),
        (error: unknown) => settle({ error: asError(error) }),
      );
      return reply;
    },
    [room, event],
  );
  const reset = useCallback(() => {
    last.current = undefined;
    setOutcome(none);
  }, []);

  const { data, error, isPending }: Outcome<Reply> = outcome.of === request ? outcome : none;
  return { request, data, error, isPending, reset };
}

function noRoom(event: string): RequestError {
  return new RequestError({ code: "closed", message: `no room to send "${event}" to; wait until useRoom returns one` });
}
