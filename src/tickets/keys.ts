import { createPublicKey, createSecretKey, KeyObject } from "node:crypto";
import { EnfiladeError } from "../errors.js";

/** The keys of tickets, and the algorithm that belongs to them (RFC 7518). */
export interface TicketKeys {
  readonly algorithm: "HS256" | "ES256" | "EdDSA";
  /** `undefined` with a public key. */
  readonly signing: KeyObject | undefined;
  readonly verifying: KeyObject;
}

/** RFC 7518 3.2: the key of HS256 has at least the size of its hash. */
const secretBytesMin = 32;

/** @throws EnfiladeError `ERR_OPTION` when there is not exactly one of `secret` and `key`, or it cannot be used. */
export function keysOf(secret: unknown, key: unknown): TicketKeys {
  if ((secret === undefined) === (key === undefined)) throw badKey("got both or neither");
  return key === undefined ? keysOfSecret(secret) : keysOfPair(key);
}

function keysOfSecret(secret: unknown): TicketKeys {
  const isBytes = typeof secret === "string" || secret instanceof Uint8Array;
  // The error does not contain the secret.
  if (!isBytes) throw badKey(`got a secret of type ${typeof secret}`);
  const bytes = Buffer.from(secret);
  if (bytes.length < secretBytesMin) throw badKey(`got a secret of ${bytes.length} bytes`);
  const symmetric = createSecretKey(bytes);
  return { algorithm: "HS256", signing: symmetric, verifying: symmetric };
}

function keysOfPair(key: unknown): TicketKeys {
  if (!(key instanceof KeyObject) || key.type === "secret") throw badKey("got a key of another kind");
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isP256 = type === "ec" && details?.namedCurve === "prime256v1";
  if (type !== "ed25519" && !isP256) throw badKey(`got a key of the type ${type}`);
  const isPrivate = key.type === "private";
  return {
    algorithm: isP256 ? "ES256" : "EdDSA",
    signing: isPrivate ? key : undefined,
    verifying: isPrivate ? createPublicKey(key) : key,
  };
}

function badKey(came: string): EnfiladeError {
  const expected = `a secret of at least ${secretBytesMin} random bytes, or a key: a KeyObject of Ed25519 or P-256`;
  return new EnfiladeError("ERR_OPTION", `tickets() takes either ${expected}; ${came}`);
}
