/** Never sent (RFC 6455 7.4.1): the connection broke without a close frame. */
export const abnormal = 1006;

/** Whether a close code means that one should not come back (PROTOCOL.md); of unknown ones, one may. */
export function isFinal(code: number): boolean {
  return (
    code === 1000 || code === 1003 || (code >= 1007 && code <= 1009) || (code >= 3000 && code < 4000) || code >= 4500
  );
}

/** What a close frame may carry, less the two bytes of the code (RFC 6455 5.5). */
const reasonBytesMax = 123;

/**
 * `reason`, cut to what a close frame may carry, on a character boundary.
 *
 * @throws RangeError unless a client may close with the code (RFC 6455 7.4.2).
 */
export function checkedReason(code: number, reason: string): string {
  if (code !== 1000 && !(code >= 3000 && code <= 4999)) {
    throw new RangeError(`close takes 1000 or 3000 to 4999, got ${code}`);
  }
  const { read } = new TextEncoder().encodeInto(reason, new Uint8Array(reasonBytesMax));
  return reason.slice(0, read);
}
