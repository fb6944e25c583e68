import { readCookie, writeCookie } from "./cookie.js";
import { SignedValue } from "./signedValue.js";

/** Who signed in. */
export interface Identity {
  readonly id: string;
  readonly name: string;
}

/** The user of each request and of each connection. Connections with the same id belong to the same person. */
export interface Person extends Identity {
  /** When the session ends, in milliseconds since 1970. */
  readonly expiresAtMs: number;
}

const cookieName = "session";
const lifetimeMs = 8 * 3600 * 1000;

/**
 * Keeps who is signed in, in a signed cookie. The server stores nothing, so every process can read it. A copy of the
 * cookie is therefore valid until its time is over, also after the sign-out.
 */
export class Sessions {
  readonly #signed: SignedValue;

  /** @param secret At least 32 characters, the same in all processes. */
  constructor(secret: string, now?: () => number) {
    this.#signed = new SignedValue(secret, cookieName, now);
  }

  /** Returns the header `Set-Cookie` that signs a person in. */
  open({ id, name }: Identity, isSecure = false): string {
    const value = this.#signed.sign({ id, name }, lifetimeMs);
    return writeCookie(cookieName, value, { maxAgeSeconds: lifetimeMs / 1000, isSecure });
  }

  /** Returns the header `Set-Cookie` that signs a person out. */
  close(isSecure = false): string {
    return writeCookie(cookieName, "", { maxAgeSeconds: 0, isSecure });
  }

  /** The person of a request, by its header `Cookie`; `undefined` if there is no valid session. */
  personOf(cookies: string | undefined): Person | undefined {
    const signed = this.#signed.read(readCookie(cookies, cookieName) ?? "");
    if (signed === undefined) return undefined;
    // Only this class signs for this purpose.
    return { ...(signed.value as Identity), expiresAtMs: signed.expiresAtMs };
  }
}
