export interface CookieOptions {
  /** The cookie is sent with requests to this path and below. Default: all paths. */
  readonly path?: string;
  readonly maxAgeSeconds: number;
  /** Whether the browser sends it over TLS only. */
  readonly isSecure: boolean;
}

/**
 * The header `Set-Cookie` (RFC 6265). Scripts cannot read the cookie, and a page of another site cannot make the browser
 * send it, except by a link.
 */
export function writeCookie(name: string, value: string, options: CookieOptions): string {
  const { path = "/", maxAgeSeconds, isSecure } = options;
  const attributes = `Path=${path}; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax`;
  return `${name}=${value}; ${attributes}${isSecure ? "; Secure" : ""}`;
}

/** The value of a cookie in the header `Cookie`. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}
