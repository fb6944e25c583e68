import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Signs texts with the secret of the admin. Each purpose has its own signatures. */
export class Signer {
  readonly #secret: string | Uint8Array;

  /** @param secret Default: a random one, which only this process knows. */
  constructor(secret: string | undefined) {
    this.#secret = secret ?? randomBytes(32);
  }

  /** The signature in base64url. */
  sign(purpose: "csrf" | "room" | "node", text: string): string {
    return createHmac("sha256", this.#secret).update(`${purpose}\n${text}`).digest("base64url");
  }

  /** Whether `signature` is that of `text`. Takes the same time for each wrong one. */
  isSigned(purpose: "csrf" | "room" | "node", text: string, signature: unknown): boolean {
    if (typeof signature !== "string") return false;
    const [given, expected] = [Buffer.from(signature), Buffer.from(this.sign(purpose, text))];
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}
