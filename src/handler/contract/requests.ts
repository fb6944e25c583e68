import type { RequestOptions } from "../../connection/codec.js";
import type { Connection } from "../../connection/connection.js";
import { EnfiladeError } from "../../errors.js";
import type { EventSchemas } from "../../wire/contract/contract.js";
import { validate } from "../../wire/schema.js";
import type { OutgoingChecks } from "./outgoing.js";

/** The arguments of a request to a client. */
export interface ClientRequest {
  /** The name of the class that sends it, for errors. */
  readonly sender: string;
  readonly event: string;
  readonly data: unknown;
  readonly options: RequestOptions | undefined;
}

/**
 * Sends a request to a client, and resolves with the output of the schema for its reply. What a client replies is
 * checked in production, too.
 *
 * @param checks Checks the data, in development only.
 * @throws EnfiladeError (as a rejection) `ERR_CONTRACT` when the contract has no such request, or refuses its data.
 * @throws MessageError (as a rejection) `ERR_SCHEMA` when the reply does not fit.
 */
export async function requestByContract(
  connection: Connection,
  sends: ReadonlyMap<string, EventSchemas>,
  { sender, event, data, options }: ClientRequest,
  checks: OutgoingChecks | undefined,
): Promise<unknown> {
  await checks?.checkRequest(sender, event, data);
  const { reply } = sends.get(event) ?? {};
  if (reply === undefined) {
    throw new EnfiladeError(
      "ERR_CONTRACT",
      `the contract of ${sender} has no request "${event}"; add it to sends, with a reply`,
    );
  }
  return validate(reply, await connection.sendRequest(event, data, options));
}
