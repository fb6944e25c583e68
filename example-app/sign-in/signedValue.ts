import { createHmac, timingSafeEqual } from "node:crypto";

const secretCharactersMin = 32;

/**
 * Signs values that a browser keeps in a cookie, with HMAC-SHA-256 (RFC 2104). The browser can read them but not change
 * them. A value that was signed for another purpose, or whose time is over, is not read.
 */
export class SignedValue {
  readonly #secret: string;
  readonly #purpose: string;
  readonly #now: () => number;

  /** @throws Error if the secret has fewer than 32 characters. */
  constructor(secret: string, purpose: string, now: () => number = Date.now) {
    if (secret.length < secretCharactersMin) {
      const expected = `SESSION_SECRET must have at least ${secretCharactersMin} characters, got ${secret.length}.`;
      throw new Error(`${expected} Make one with: openssl rand -base64 32`);
    }
    this.#secret = secret;
    this.#purpose = purpose;
    this.#now = now;
  }

  sign(value: unknown, lifetimeMs: number): string {
    const expiresAtMs = this.#now() + lifetimeMs;
    const content = Buffer.from(JSON.stringify({ value, expiresAtMs })).toString("base64url");
    return `${content}.${this.#mac(content).toString("base64url")}`;
  }

  /** Returns the value and the end of its time; `undefined` for a text that this server did not sign, or too late. */
  read(text: string): { readonly value: unknown; readonly expiresAtMs: number } | undefined {
    const [content = "", mac = ""] = text.split(".");
    const expected = this.#mac(content);
    const given = Buffer.from(mac, "base64url");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
    const signed = JSON.parse(Buffer.from(content, "base64url").toString()) as { value: unknown; expiresAtMs: number };
    return this.#now() < signed.expiresAtMs ? signed : undefined;
  }

  #mac(content: string): Buffer {
    return createHmac("sha256", this.#secret).update(`${this.#purpose}.${content}`).digest();
  }
}
