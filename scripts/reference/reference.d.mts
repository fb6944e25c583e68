/** The pages of docs/reference by file name, and what lacks a doc comment, each with its source file. */
export function makeReference(): { pages: Map<string, string>; undocumented: string[] };
