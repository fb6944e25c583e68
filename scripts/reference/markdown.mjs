// Small parts of Markdown.

/** `text` in code marks, whatever it has in it. */
export function code(text) {
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}

/** A table without the columns that are empty in every row. */
export function table(headers, rows) {
  const used = headers.map((_header, column) => rows.some((row) => row[column] !== ""));
  const lineOf = (cells) => `| ${cells.filter((_cell, column) => used[column]).join(" | ")} |`;
  const rule = lineOf(headers.map(() => "---"));
  return [lineOf(headers), rule, ...rows.map((row) => lineOf(row.map(escapeBars)))].join("\n");
}

/** A bar ends a cell, in code too. */
function escapeBars(cell) {
  return cell.replaceAll("|", "\\|");
}

export function list(items) {
  return items.map((item) => `- ${item}`).join("\n");
}

/** Blocks, in lists of any depth, with an empty line between them. */
export function blocks(...parts) {
  return parts
    .flat(Number.POSITIVE_INFINITY)
    .filter((part) => part !== undefined && part !== "")
    .join("\n\n");
}
