/** Milliseconds by the clock that all processes of the machine have in common. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
