import { binaryFrame, closeFrame, closePayload, frame, Opcode, textFrame } from "../../clients/frames.js";

/** One case: bytes after the handshake, the answers that must come, and the code that the server must close with. */
export interface Case {
  readonly name: string;
  readonly bytes: Buffer;
  /** Payloads of the frames that must come, in order: echoes, and pongs with a `pong:` in front. */
  readonly answers: readonly string[];
  readonly codes: readonly number[];
}

const goodbye = closeFrame(1000);
const ping = (payload: string) => frame({ opcode: Opcode.ping, payload });
const part = (payload: string | Uint8Array, opcode: number = Opcode.continuation, isFinal = false) =>
  frame({ opcode, payload, isFinal });
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const hashOf = (bytes: Uint8Array | string) => Buffer.from(bytes).toString("latin1");

/** A case that must be closed with one of these codes, with nothing else before. */
function broken(
  name: string,
  bytes: readonly Buffer[],
  codes: number | readonly number[],
  answers: string[] = [],
): Case {
  const list = typeof codes === "number" ? [codes] : codes;
  // What comes after a violation must be ignored.
  return { name, bytes: Buffer.concat([...bytes, textFrame("after the end")]), answers, codes: list };
}

function fine(name: string, bytes: readonly Buffer[], answers: readonly (string | Uint8Array)[]): Case {
  return { name, bytes: Buffer.concat([...bytes, goodbye]), answers: answers.map(hashOf), codes: [1000] };
}

/** Lengths around every border of the length forms. */
function lengthCases(): Case[] {
  const lengths = [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 1_023, 1_024, 32_767, 32_768, 65_535, 65_536];
  return lengths.flatMap((length) => [
    fine(`text of ${length} bytes`, [textFrame("*".repeat(length))], ["*".repeat(length)]),
    fine(`binary of ${length} bytes`, [binaryFrame(Buffer.alloc(length, 0xfe))], [Buffer.alloc(length, 0xfe)]),
    ...(length <= 125
      ? [
          fine(`ping of ${length} bytes`, [ping("p".repeat(length))], [`pong:${"p".repeat(length)}`]),
          fine(`pong of ${length} bytes`, [frame({ opcode: Opcode.pong, payload: "p".repeat(length) })], []),
        ]
      : [
          broken(`ping of ${length} bytes`, [ping("p".repeat(length))], 1002),
          broken(`pong of ${length} bytes`, [frame({ opcode: Opcode.pong, payload: "p".repeat(length) })], 1002),
          broken(`close of ${length} bytes`, [closeFrame(1000, "c".repeat(length - 2))], 1002),
        ]),
  ]);
}

function sizeCases(): Case[] {
  const huge: readonly (readonly [string, number | bigint, readonly number[]])[] = [
    ["one byte above the limit", 65_537, [1009]],
    ["2^31", 2 ** 31, [1009]],
    ["2^32", 2 ** 32, [1009]],
    ["2^53 - 1", 2 ** 53 - 1, [1009]],
    ["2^53", 2n ** 53n, [1009]],
    ["2^63 - 1", 2n ** 63n - 1n, [1009]],
    ["2^63", 2n ** 63n, [1002, 1009]],
    ["2^64 - 1", 2n ** 64n - 1n, [1002, 1009]],
  ];
  return huge.flatMap(([name, declared, codes]) =>
    [Opcode.text, Opcode.binary].map((opcode) =>
      broken(`a length of ${name}, opcode ${opcode}`, [frame({ opcode, declared, lengthBits: 64 })], codes),
    ),
  );
}

function headCases(): Case[] {
  const unknown = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15];
  const all = [0, 1, 2, 8, 9, 10];
  return [
    ...unknown.flatMap((opcode) => [
      broken(`opcode ${opcode}`, [frame({ opcode })], 1002),
      broken(`opcode ${opcode} with a payload`, [frame({ opcode, payload: "abc" })], 1002),
      broken(`opcode ${opcode} after a message`, [textFrame("a"), frame({ opcode })], 1002, ["a"]),
      broken(`opcode ${opcode} within a message`, [part("a", Opcode.text), frame({ opcode })], 1002),
    ]),
    ...[1, 2, 3, 4, 5, 6, 7].flatMap((reserved) =>
      all.map((opcode) => broken(`reserved bits ${reserved}, opcode ${opcode}`, [frame({ opcode, reserved })], 1002)),
    ),
    ...all.map((opcode) => broken(`no mask, opcode ${opcode}`, [frame({ opcode, isMasked: false })], 1002)),
    ...[8, 9, 10].map((opcode) => broken(`a fragment of opcode ${opcode}`, [part("", opcode)], 1002)),
  ];
}

function fragmentCases(): Case[] {
  const last = (payload: string) => part(payload, Opcode.continuation, true);
  return [
    ...[Opcode.text, Opcode.binary].flatMap((opcode) => [
      fine(`two fragments of ${opcode}`, [part("ab", opcode), last("cd")], ["abcd"]),
      fine(`empty fragments of ${opcode}`, [part("", opcode), part(""), last("")], [""]),
      fine(`empty first fragment of ${opcode}`, [part("", opcode), last("x")], ["x"]),
      fine(`empty last fragment of ${opcode}`, [part("x", opcode), last("")], ["x"]),
      fine(`a ping between fragments of ${opcode}`, [part("a", opcode), ping("p"), last("b")], ["pong:p", "ab"]),
      fine(
        `two messages of fragments of ${opcode}`,
        [part("a", opcode), last("b"), part("c", opcode), last("d")],
        ["ab", "cd"],
      ),
      broken(`text within a message of ${opcode}`, [part("a", opcode), textFrame("b")], 1002),
      broken(`binary within a message of ${opcode}`, [part("a", opcode), binaryFrame(Buffer.from("b"))], 1002),
      broken(
        `a message that grows too large of ${opcode}`,
        [part("a".repeat(65_000), opcode), last("b".repeat(600))],
        1009,
      ),
    ]),
    ...[2, 10, 100, 255].map((count) =>
      fine(
        `${count} fragments`,
        [part("a", Opcode.text), ...repeat(count - 2, part("a")), last("a")],
        ["a".repeat(count)],
      ),
    ),
    broken("257 fragments", [part("a", Opcode.text), ...repeat(255, part("a")), last("a")], 1008),
    broken("a continuation of nothing", [last("a")], 1002),
    broken("an unfinished continuation of nothing", [part("a")], 1002),
    broken("a continuation after a message", [textFrame("a"), last("b")], 1002, ["a"]),
    broken("a continuation after a fragmented message", [part("a", Opcode.text), last("b"), last("c")], 1002, ["ab"]),
  ];
}

function repeat(count: number, bytes: Buffer): Buffer[] {
  return Array.from({ length: count }, () => bytes);
}

function closeCases(): Case[] {
  const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4999];
  const invalid = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 5001, 32_768, 65_535];
  const closing = (payload: Uint8Array) => frame({ opcode: Opcode.close, payload });
  return [
    ...valid.map((code) => broken(`close ${code}`, [closeFrame(code)], code)),
    ...valid.map((code) => broken(`close ${code} with a reason`, [closeFrame(code, "good reason 👋")], code)),
    ...invalid.flatMap((code) => [
      broken(`close ${code}`, [closeFrame(code)], 1002),
      broken(`close ${code} with a reason`, [closeFrame(code, "why")], 1002),
    ]),
    broken("close without a code", [closing(Buffer.alloc(0))], 1005),
    broken("close of one byte", [closing(Buffer.from([3]))], 1002),
    broken("close with the longest reason", [closeFrame(1000, "r".repeat(123))], 1000),
    broken(
      "close with a reason that is not UTF-8",
      [closing(closePayload(1000, hex("cebae1bdb9cf83cebcceb5eda080")))],
      1007,
    ),
    broken("two closes", [closeFrame(1000), closeFrame(3000)], 1000),
    broken("a ping after a close", [closeFrame(1000), ping("late")], 1000),
    broken("close within a message", [part("a", Opcode.text), closeFrame(1000)], 1000),
  ];
}

const validText = [
  ...["48 65", "ce ba e1 bd b9 cf 83 ce bc ce b5", "00", "7f", "c2 80", "df bf", "e0 a0 80", "ef bf bf", "f0 90 80 80"],
  ...["ed 9f bf", "ee 80 80", "ef bf bd", "f4 8f bf bf", "ef bb bf 61", "f0 9f 91 8b f0 9f 8f bd", "ef b7 90"],
];
const invalidText = [
  ...[
    "80",
    "bf",
    "80 bf",
    "80 bf 80",
    "c0",
    "c0 80",
    "c0 af",
    "c1 bf",
    "c2",
    "c2 c2",
    "df",
    "e0",
    "e0 80 80",
    "e0 9f bf",
  ],
  ...["e0 a0", "e1 80", "ed a0 80", "ed ad bf", "ed ae 80", "ed af bf", "ed b0 80", "ed bf bf", "ed a0 80 ed b0 80"],
  ...[
    "f0",
    "f0 80 80 80",
    "f0 8f bf bf",
    "f0 90",
    "f0 90 80",
    "f4 90 80 80",
    "f5 80 80 80",
    "f7 bf bf bf",
    "f8 88 80 80 80",
  ],
  ...[
    "fc 84 80 80 80 80",
    "fe",
    "ff",
    "fe fe ff ff",
    "61 80 61",
    "61 c3",
    "61 c3 28",
    "e2 82",
    "e2 28 a1",
    "f0 28 8c bc",
  ],
];

function utf8Cases(): Case[] {
  const halves = (bytes: Buffer) => [
    part(bytes.subarray(0, 1), Opcode.text),
    part(bytes.subarray(1), Opcode.continuation, true),
  ];
  return [
    ...validText.flatMap((text) => [
      fine(`UTF-8 ${text}`, [textFrame(hex(text))], [hex(text)]),
      fine(`UTF-8 ${text} in two fragments`, halves(hex(text)), [hex(text)]),
    ]),
    ...invalidText.flatMap((text) => [
      broken(`no UTF-8: ${text}`, [textFrame(hex(text))], 1007),
      broken(`no UTF-8 in two fragments: ${text}`, halves(hex(text)), 1007),
      fine(`no UTF-8, but binary: ${text}`, [binaryFrame(hex(text))], [hex(text)]),
    ]),
  ];
}

/** All cases. */
export function conformanceCases(): Case[] {
  return [...lengthCases(), ...sizeCases(), ...headCases(), ...fragmentCases(), ...closeCases(), ...utf8Cases()];
}
