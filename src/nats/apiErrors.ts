import { JetStreamApiError } from "@nats-io/jetstream";
import { NoRespondersError } from "@nats-io/transport-node";

/** Error codes of JetStream: https://github.com/nats-io/nats-server/blob/main/server/errors.json */
const apiErrors = {
  nameTaken: 10_058,
  notEnabled: 10_076,
  notEnabledForAccount: 10_039,
  streamNotFound: 10_059,
  subjectsTaken: 10_065,
  tooLittleMemory: 10_028,
  tooLittleResources: 10_023,
  tooLittleStorage: 10_047,
  wrongLastSequence: 10_071,
} as const;

/** Whether JetStream has answered with one of these errors. */
export function isApiError(error: unknown, ...names: readonly (keyof typeof apiErrors)[]): boolean {
  return error instanceof JetStreamApiError && names.some((name) => apiErrors[name] === error.code);
}

/** Whether an error means that the stream, or JetStream, does not exist. */
export function hasNoResponders(error: unknown): boolean {
  if (error instanceof NoRespondersError) return true;
  return error instanceof Error && hasNoResponders(error.cause);
}
