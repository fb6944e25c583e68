import { conformance } from "./rows/wire/conformance.js";
import { mutatedFrames } from "./rows/wire/frames.js";
import { mutatedHandshakes } from "./rows/wire/handshakes.js";
import type { Row } from "./scene.js";

/** All rows, in the order in which they run. */
export const rows: readonly Row[] = [conformance, mutatedFrames, mutatedHandshakes];
