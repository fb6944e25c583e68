import { formatBytes, visible } from "./format.js";

/** A longer content is folded. */
const lineLengthMax = 160;

interface ContentProps {
  readonly text: string;
  /** The size of the whole content, of which the text may be a part. */
  readonly bytes?: number | undefined;
}

/** The content of a message. */
export function Content({ text, bytes }: ContentProps) {
  if (text.length <= lineLengthMax) return <code>{visible(text)}</code>;
  return (
    <details>
      <summary>
        <code>{visible(text.slice(0, lineLengthMax))}…</code> {bytes !== undefined && formatBytes(bytes)}
      </summary>
      <pre>{visible(text, true)}</pre>
    </details>
  );
}
