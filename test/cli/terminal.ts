import { fileURLToPath } from "node:url";
import { command } from "../support/parts.js";
import { enfilade, Running, type RunOptions } from "./process.js";

const script = fileURLToPath(new URL("terminal.py", import.meta.url));

/** `enfilade` on a terminal with this number of columns. */
export class Terminal {
  readonly running: Running;
  readonly #columns: number;

  constructor(args: readonly string[], columns = 80, options: RunOptions = {}) {
    this.#columns = columns;
    const env = { TERM: "xterm", ...options.env };
    this.running = new Running([command("python"), script, String(columns), "24", ...enfilade, ...args], { env });
  }

  /** The bytes that the terminal has received, as text. */
  get received(): string {
    return this.running.out;
  }

  /** What the terminal shows: the lines without trailing spaces. */
  get lines(): string[] {
    return render(this.received, this.#columns);
  }

  type(text: string): void {
    this.running.type(text);
  }

  /** Resolves when the terminal shows lines that fulfil a condition. */
  async shows(isDone: (lines: readonly string[]) => boolean): Promise<string[]> {
    await this.running.until(() => isDone(this.lines));
    return this.lines;
  }
}

/** Draws output as a terminal does. It knows the sequences that readline writes, and no others. */
export function render(output: string, columns: number): string[] {
  const rows: string[][] = [[]];
  let [row, column] = [0, 0];
  const rowAt = (at: number): string[] => {
    while (rows.length <= at) rows.push([]);
    return rows[at] ?? [];
  };
  const moves = new Map<string, (count: number) => void>([
    ["A", (count) => (row = Math.max(0, row - count))],
    ["B", (count) => (row += count)],
    ["C", (count) => (column += count)],
    ["D", (count) => (column = Math.max(0, column - count))],
    ["G", (count) => (column = count - 1)],
    ["m", () => undefined],
  ]);
  const clear = () => {
    const cells = rowAt(row);
    cells.length = Math.min(cells.length, column);
    rows.length = row + 1;
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a sequence whose end has not arrived
  const complete = output.replace(/\x1b(?:\[\d*)?$/, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the sequences of a terminal
  for (const [part, , digits, name = ""] of complete.matchAll(/(\x1b\[(\d*)([A-Za-z]))|[\s\S]/gu)) {
    if (name === "J" || name === "K") clear();
    else if (name !== "") move(moves, name, Number(digits || 1));
    else if (part === "\r") column = 0;
    else if (part === "\n") row += 1;
    else if (part < " ") throw new Error(`the terminal received the control character ${JSON.stringify(part)}`);
    else {
      if (column === columns) [row, column] = [row + 1, 0];
      const cells = rowAt(row);
      while (cells.length < column) cells.push(" ");
      cells[column] = part;
      column += 1;
    }
  }
  return rows.map((cells) => cells.join("").trimEnd());
}

function move(moves: ReadonlyMap<string, (count: number) => void>, name: string, count: number): void {
  const step = moves.get(name);
  if (step === undefined) throw new Error(`the terminal received the unknown sequence ${name}`);
  step(count);
}
