/** The number of characters of a line. Further ones are cut off. */
const lineLengthMax = 300;

/** The part of a DOM element that {@link ClientRoom.attachLog} uses. */
export interface LogElement {
  /** Appends a text node. */
  append(text: string): void;
  /** The node that was appended last; the log removes it later. */
  readonly lastChild: { remove(): void } | null;
}

/** Appends lines to an element as text, never as markup. Past `linesMax` the oldest line is removed. */
export function logInto(element: LogElement, linesMax: number): (line: string) => void {
  const nodes: LogElement["lastChild"][] = [];
  return (line) => {
    // `append` turns a string into a text node.
    element.append(`${line}\n`);
    nodes.push(element.lastChild);
    if (nodes.length > linesMax) nodes.shift()?.remove();
  };
}

/** Returns the start of `text` as one line without control characters, which a peer may have put into it. */
export function printable(text: string): string {
  return text
    .slice(0, lineLengthMax)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
