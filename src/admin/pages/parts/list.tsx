import { useState } from "preact/hooks";
import type { ListPage } from "../../api.js";
import type { Params } from "../data/calls.js";
import { useGet } from "../data/useGet.js";
import { formatCount } from "./format.js";
import { Failure, Missing } from "./notices.js";
import { type Column, Table } from "./table.js";

interface ListProps<Answer extends ListPage, Row> {
  /** The name of the call. */
  readonly call: string;
  readonly params?: Params;
  readonly caption: string;
  /** What a row is, such as `room`. */
  readonly noun: string;
  /** Its plural. Default: with an s. */
  readonly plural?: string;
  readonly empty: string;
  rowsOf(answer: Answer): readonly Row[];
  keyOf(row: Row, index: number): string;
  /** @param reload Loads the page again, after an action. */
  columns(reload: () => void): readonly Column<Row>[];
}

/** A list that the server pages: a table, and buttons for the next and the previous page. */
export function List<Answer extends ListPage, Row>(props: ListProps<Answer, Row>) {
  const { call, params = {}, caption, noun, plural, empty, rowsOf, keyOf, columns } = props;
  const pages = usePages(JSON.stringify(params));
  const { value, error, isLoading, reload } = useGet<Answer>(call, { ...params, after: pages.after });
  const rows = value === undefined ? [] : rowsOf(value);
  // Until the answer is there, the rows are those of the page before.
  const isShown = !isLoading && error === undefined;
  const count = `${formatCount(rows.length, noun, plural)} on page ${pages.number}`;
  return (
    <div class="list">
      <div class="tools">
        <p class="soft" role="status">
          {isShown ? count : isLoading ? "Loading…" : "Not loaded"}
        </p>
        <button type="button" onClick={reload}>
          Refresh
        </button>
      </div>
      {error && <Failure error={error} retry={reload} />}
      <Table {...{ caption, rows, keyOf, empty, isBusy: isLoading }} columns={columns(reload)} />
      {value !== undefined && <Missing nodes={value.missing} />}
      {value !== undefined && (value.next !== undefined || pages.number > 1) && (
        <nav class="pager" aria-label={`Pages of ${caption}`}>
          <button type="button" disabled={pages.number === 1} onClick={pages.previous}>
            Previous page
          </button>
          <button type="button" disabled={value.next === undefined} onClick={() => isShown && pages.next(value.next)}>
            Next page
          </button>
        </nav>
      )}
    </div>
  );
}

/** The pages of a list, from the first one to the one that is shown. Another filter begins with the first page. */
function usePages(filter: string) {
  const [{ cursors, of }, set] = useState<{ cursors: readonly string[]; of: string }>({ cursors: [], of: filter });
  const shown = of === filter ? cursors : [];
  return {
    after: shown.at(-1),
    number: shown.length + 1,
    next: (cursor: string | undefined) => cursor !== undefined && set({ cursors: [...shown, cursor], of: filter }),
    previous: () => set({ cursors: shown.slice(0, -1), of: filter }),
  };
}
