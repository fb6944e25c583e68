/** The pages of docs/reference by file name, names without a doc comment, and links to names that are not public. */
export function makeReference(): { pages: Map<string, string>; undocumented: string[]; deadLinks: string[] };
