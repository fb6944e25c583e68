/** The pages of docs/reference by file name, what lacks a doc comment, and links of comments to names that are not public. */
export function makeReference(): { pages: Map<string, string>; undocumented: string[]; deadLinks: string[] };
