import { on } from "node:events";
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from "node:readline";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { Context } from "../command.js";
import { visible } from "../text.js";

/** One message. */
export interface ShownMessage {
  /** Its room and its offset, if it has them. */
  readonly tag: string;
  readonly text: string;
}

/**
 * Shows messages and notes, and reads lines. Each message and each note is one line, whose
 * control characters are shown as escapes, since a peer may have put them into any part of it.
 */
export interface Screen {
  /** The lines that are typed or piped, until the input ends. To be iterated once. */
  readonly lines: AsyncIterable<string>;
  message(message: ShownMessage): void;
  /** Shows something that is not a message. */
  note(text: string): void;
  close(): void;
}

/** The number of characters of a message on a terminal. Further ones are cut off. */
const charactersMax = 10_000;

/** A terminal on both sides shows messages above the line that is being typed. */
export function openScreen(context: Context): Screen {
  const { stdin, stdout, env } = context;
  const isInteractive = stdin.isTTY && stdout.isTTY && env.TERM !== "dumb";
  return isInteractive ? new PromptScreen(context) : new PipeScreen(context);
}

/** A message on a terminal begins with a sign, so that no message looks like a note. */
function onTerminal({ tag, text: raw }: ShownMessage): string {
  const text = visible(raw);
  const cut = text.length - charactersMax;
  const start = cut > 0 ? `${text.slice(0, charactersMax)}… (${cut} more characters)` : text;
  return `${tag === "" ? "" : `${visible(tag)} `}< ${start}`;
}

class PromptScreen implements Screen {
  readonly #readline: Interface;
  readonly #stdout: NodeJS.WriteStream;
  readonly #isColored: boolean;
  #isOpen = true;

  constructor({ stdin, stdout, env }: Context) {
    this.#stdout = stdout;
    this.#isColored = (env.NO_COLOR ?? "") === "";
    this.#readline = createInterface({ input: stdin, output: stdout, prompt: "> ", historySize: 500 });
    this.#readline.on("SIGINT", () => this.#readline.close());
    this.#readline.once("close", () => {
      this.#isOpen = false;
      stdout.write("\n");
    });
    this.#readline.prompt();
  }

  get lines(): AsyncIterable<string> {
    return this.#read();
  }

  message(message: ShownMessage): void {
    this.#print(onTerminal(message));
  }

  note(text: string): void {
    const line = `* ${visible(text)}`;
    this.#print(this.#isColored ? `\x1b[2m${line}\x1b[22m` : line);
  }

  close(): void {
    this.#readline.close();
  }

  async *#read(): AsyncGenerator<string, void, undefined> {
    for await (const line of this.#readline) {
      yield line;
      if (this.#isOpen) this.#readline.prompt();
    }
  }

  /** Prints above the line that is being typed, and shows that line again. */
  #print(text: string): void {
    if (!this.#isOpen) {
      this.#stdout.write(`${text}\n`);
      return;
    }
    const { rows } = this.#readline.getCursorPos();
    moveCursor(this.#stdout, 0, -rows);
    cursorTo(this.#stdout, 0);
    clearScreenDown(this.#stdout);
    // readline moves up by the rows that it drew last, which is not the row of the cursor if typing went on since.
    const drawn = Number(Reflect.get(this.#readline, "prevRows") ?? 0);
    this.#stdout.write(`${text}\n${"\n".repeat(drawn)}`);
    this.#readline.prompt(true);
  }
}

/** Messages go to stdout and notes to stderr, so that a program can read the messages alone. */
class PipeScreen implements Screen {
  readonly #context: Context;
  readonly #closing = new AbortController();

  constructor(context: Context) {
    this.#context = context;
  }

  get lines(): AsyncIterable<string> {
    return linesOf(this.#context.stdin, this.#closing.signal);
  }

  message(message: ShownMessage): void {
    const { stdout } = this.#context;
    stdout.write(`${stdout.isTTY ? onTerminal(message) : visible(message.text)}\n`);
  }

  note(text: string): void {
    this.#context.stderr.write(`* ${visible(text)}\n`);
  }

  close(): void {
    this.#closing.abort();
    this.#context.stdin.pause();
  }
}

/** The lines of a stream, until `signal` is aborted. readline of Node 26 also ends lines at U+2028, which is text. */
async function* linesOf(input: Readable, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for await (const [chunk] of on(input, "data", { signal, close: ["end"] })) {
      const lines = (rest + decoder.write(chunk)).split(/\r?\n/);
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return;
  }
  if (rest !== "") yield rest;
}
