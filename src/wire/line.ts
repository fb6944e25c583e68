/** A text of a client as one line without control characters, so that it is safe in a log. */
export function oneLine(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd");
}
