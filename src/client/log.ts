/** What is taken from a line; the rest is left out. */
const lineLengthMax = 300;

/** What is used of an element of a page. */
export interface LogElement {
  append(text: string): void;
  readonly lastChild: { remove(): void } | null;
}

/** Writes lines to an element as text, which no markup in them can leave; past `linesMax` the oldest goes. */
export function logInto(element: LogElement, linesMax: number): (line: string) => void {
  const nodes: LogElement["lastChild"][] = [];
  return (line) => {
    // A string is appended as a text node.
    element.append(`${line}\n`);
    nodes.push(element.lastChild);
    if (nodes.length > linesMax) nodes.shift()?.remove();
  };
}

/** `text` as one line that a log or a terminal can only show: a peer may have put control characters into it. */
export function printable(text: string): string {
  const cut = text.length > lineLengthMax ? `${text.slice(0, lineLengthMax)}…` : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
