import type { LiveDirection, LiveFilter } from "../../api.js";
import { Field, Group, textOf } from "../forms/field.js";
import { formatCount, formatNumber, visible } from "../parts/format.js";
import { Page } from "../parts/page.js";
import { place } from "../routes.js";
import { EntryList } from "../tap/entryList.js";
import { type PageTap, useTap } from "../tap/useTap.js";

/** The messages and events of all nodes as they happen. */
export function Tap() {
  const tap = useTap();
  const { buffer, state, version, problem } = tap;
  return (
    <Page title="Tap">
      <Filter tap={tap} />
      <p class="problem" role="alert">
        {visible(problem)}
      </p>
      <Controls tap={tap} />
      <p class="soft" role="status">
        {state === "running" ? "The tap is running." : `The tap is ${state}.`}
      </p>
      <p class="soft figures">
        {formatCount(buffer.total, "entry", "entries")} came: {formatNumber(buffer.size)} kept,{" "}
        {formatNumber(buffer.missed)} missed.
      </p>
      <EntryList buffer={buffer} version={version} />
    </Page>
  );
}

const directions: readonly (readonly [LiveDirection, string])[] = [
  ["in", "From clients"],
  ["out", "To clients"],
  ["publish", "Publications"],
  ["lifecycle", "Opened, closed, refused, errors"],
];

function Filter({ tap }: { readonly tap: PageTap }) {
  const { params } = place.value;
  return (
    <form
      class="stack"
      aria-label="Filter of the tap"
      onSubmit={(event) => {
        event.preventDefault();
        tap.start(filterOf(new FormData(event.currentTarget)));
      }}
    >
      <div class="filters">
        <Field label="Room" name="room" value={params.room} hint="/chat/a, or /chat/** with all rooms below" />
        <Field label="User" name="user" value={params.user} />
        <Field label="Connection" name="connection" value={params.connection} />
        <Field label="Text" name="text" value={params.text} />
      </div>
      <Group label="Kinds">
        <div class="options">
          {directions.map(([value, label]) => (
            <label key={value} class="option">
              <input type="checkbox" name="direction" value={value} defaultChecked />
              {label}
            </label>
          ))}
        </div>
      </Group>
      <div class="buttons">
        <button type="submit" class="primary">
          {tap.state === "stopped" ? "Start" : "Start again with this filter"}
        </button>
      </div>
    </form>
  );
}

function Controls({ tap }: { readonly tap: PageTap }) {
  const isPaused = tap.state === "paused";
  return (
    <div class="buttons">
      <button type="button" disabled={tap.state === "stopped"} onClick={isPaused ? tap.resume : tap.pause}>
        {isPaused ? "Resume" : "Pause"}
      </button>
      <button type="button" onClick={tap.clear}>
        Clear
      </button>
      <button type="button" onClick={() => save(tap.buffer.toJSONLines())}>
        Save as JSON lines
      </button>
    </div>
  );
}

function filterOf(form: FormData): LiveFilter {
  const filter: Record<string, string | LiveDirection[]> = {};
  for (const name of ["room", "user", "connection", "text"]) {
    const text = textOf(form, name).trim();
    if (text !== "") filter[name] = text;
  }
  const chosen = directions.map(([value]) => value).filter((value) => form.getAll("direction").includes(value));
  if (chosen.length > 0 && chosen.length < directions.length) filter.direction = chosen;
  return filter;
}

/** Saves text as a file of the browser. */
function save(text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
  link.download = `tap-${new Date().toISOString().replace(/[:.]/g, "-")}.jsonl`;
  link.click();
  // The browser reads the file after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
