import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Content } from "../parts/content.js";
import { formatClock, visible } from "../parts/format.js";
import { None, Text } from "../parts/text.js";
import type { EntryBuffer, NumberedEntry } from "./entryBuffer.js";

/** The rows in the document; the file that is saved has all entries. */
const rowsMax = 200;

interface EntryListProps {
  readonly buffer: EntryBuffer;
  /** Changes with each rendering that has new entries. */
  readonly version: number;
}

/** The last entries, the newest at the end. It follows them, unless the reader has scrolled up. */
export function EntryList({ buffer, version }: EntryListProps) {
  const box = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<readonly NumberedEntry[]>();
  const shown = held ?? buffer.last(rowsMax);
  useLayoutEffect(() => {
    const element = box.current;
    if (element !== null && held === undefined) element.scrollTop = element.scrollHeight;
  }, [version, held]);
  const onScroll = () => {
    const element = box.current;
    if (element === null) return;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    if (isAtEnd) setHeld(undefined);
    else setHeld((rows) => rows ?? shown);
  };
  return (
    <div class="entries">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a keyboard user must be able to scroll the entries */}
      <section ref={box} class="scroll" tabIndex={0} aria-label="Entries" onScroll={onScroll}>
        <table>
          <caption>The last entries, the newest at the end</caption>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Kind</th>
              <th scope="col">Client</th>
              <th scope="col">Room</th>
              <th scope="col">Content</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((entry) => (
              <EntryRow key={entry.number} entry={entry} />
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p class="empty">There are no entries yet.</p>}
      </section>
      <button type="button" class="newest" disabled={held === undefined} onClick={() => setHeld(undefined)}>
        Go to the newest
      </button>
    </div>
  );
}

function EntryRow({ entry }: { readonly entry: NumberedEntry }) {
  const { at, direction, type, user, connection, path, to, text, bytes } = entry;
  return (
    <tr class={direction}>
      <td>{formatClock(at)}</td>
      <td>{type ?? direction}</td>
      <td>
        {user !== undefined && <Text value={user} />}
        {user === undefined && (connection === undefined ? <None>–</None> : <Text value={connection.slice(0, 8)} />)}
      </td>
      <td>
        <Text value={to ?? path ?? "–"} />
      </td>
      <td>{text === undefined ? <Cause entry={entry} /> : <Content text={text} bytes={bytes} />}</td>
    </tr>
  );
}

function Cause({ entry: { code, reason = "" } }: { readonly entry: NumberedEntry }) {
  return <>{code === undefined ? "" : `${code} ${visible(reason)}`}</>;
}
