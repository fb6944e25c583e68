/** A text of a client as one line without control characters, so that it is safe in a log. */
export function oneLine(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** A value as JSON in printable ASCII characters: JSON itself leaves C1 and bidirectional controls as they are. */
export function escaped(value: unknown): string {
  const text = JSON.stringify(value) ?? typeof value;
  return text.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
