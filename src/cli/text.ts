const short = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/**
 * A text of a peer as one line that a terminal only shows: control and format characters, such as those that move the
 * cursor or change the direction of text, as escapes of JSON.
 */
export function visible(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => short.get(character) ?? escapes(character));
}

/** JSON that a terminal only shows, and that parses to the same value. */
export function visibleJSON(value: unknown): string {
  return visible(JSON.stringify(value) ?? "null");
}

function escapes(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}
