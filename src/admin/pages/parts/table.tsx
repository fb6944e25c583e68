import type { ComponentChildren } from "preact";

export interface Column<Row> {
  readonly header: string;
  cell(row: Row): ComponentChildren;
  /** Aligns figures by their last digit. */
  readonly isNumber?: boolean;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** The text in place of rows. */
  readonly empty: string;
  readonly isBusy?: boolean;
  /** @param index For rows that nothing else tells apart. */
  keyOf(row: Row, index: number): string;
}

/** A table. The first column names the row. On a phone each row is a block, and each cell shows its header. */
export function Table<Row>({ caption, columns, rows, keyOf, empty, isBusy = false }: TableProps<Row>) {
  if (rows.length === 0) return <p class="empty">{isBusy ? "Loading…" : empty}</p>;
  return (
    <table aria-busy={isBusy}>
      <caption>{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ header, isNumber }) => (
            <th key={header} scope="col" class={isNumber ? "number" : ""}>
              {header}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row, line) => (
          <tr key={keyOf(row, line)}>
            {columns.map((column, index) => (
              <Cell key={column.header} column={column} row={row} isName={index === 0} />
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface CellProps<Row> {
  readonly column: Column<Row>;
  readonly row: Row;
  readonly isName: boolean;
}

function Cell<Row>({ column, row, isName }: CellProps<Row>) {
  const content = <div class="value">{column.cell(row)}</div>;
  if (isName) return <th scope="row">{content}</th>;
  return (
    <td data-label={column.header} class={column.isNumber ? "number" : ""}>
      {content}
    </td>
  );
}
