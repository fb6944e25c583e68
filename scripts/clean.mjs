// Files that left src/ must leave dist/ too: a stale one would be packed and published.
import { rmSync } from "node:fs";

rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
