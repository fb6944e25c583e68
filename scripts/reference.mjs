// Writes docs/reference/ from the doc comments of the built declarations: `npm run reference`.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { makeReference } from "./reference/reference.mjs";

const folder = new URL("../docs/reference/", import.meta.url);
const { pages, undocumented, deadLinks } = makeReference();
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const [name, text] of pages) writeFileSync(new URL(name, folder), text);
for (const name of undocumented) console.warn(`no doc comment: ${name}`);
for (const link of deadLinks) console.warn(`links to a name that is not public: ${link}`);
