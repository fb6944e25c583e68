import { openings } from "./rows/admission/openings.js";
import { origins } from "./rows/admission/origins.js";
import { paths } from "./rows/admission/paths.js";
import { spoofing } from "./rows/admission/spoofing.js";
import { engineRow } from "./rows/cluster/engine.js";
import { poison } from "./rows/cluster/poison.js";
import { blocked } from "./rows/load/blocked.js";
import { cuts } from "./rows/load/cuts.js";
import { herd } from "./rows/load/herd.js";
import { scarce } from "./rows/load/scarce.js";
import { soak } from "./rows/load/soak.js";
import { stalled } from "./rows/load/stalled.js";
import { halfOpen } from "./rows/rooms/halfOpen.js";
import { modelRow } from "./rows/rooms/model.js";
import { visitsRow } from "./rows/rooms/visits.js";
import { bombsRow } from "./rows/wire/bombs.js";
import { conformance } from "./rows/wire/conformance.js";
import { floodsRow } from "./rows/wire/floods.js";
import { mutatedFrames } from "./rows/wire/frames.js";
import { mutatedHandshakes } from "./rows/wire/handshakes.js";
import { unfinished } from "./rows/wire/unfinished.js";
import type { Row } from "./scene.js";

/** All rows, in the order in which they run. */
export const rows: readonly Row[] = [
  conformance,
  mutatedFrames,
  mutatedHandshakes,
  paths,
  origins,
  openings,
  spoofing,
  unfinished,
  bombsRow,
  floodsRow,
  stalled,
  blocked,
  modelRow,
  halfOpen,
  engineRow,
  poison,
  visitsRow,
  cuts,
  herd,
  scarce,
  soak,
];
