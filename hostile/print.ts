/** The result of one row. */
export interface RowResult {
  readonly number: number;
  readonly title: string;
  readonly expected: string;
  readonly passed: boolean;
  readonly failures: readonly string[];
  readonly skipped: readonly string[];
  readonly figures: Readonly<Record<string, number | string>>;
  readonly neighbour: { readonly p99Ms: number; readonly maxMs: number; readonly echoes: number };
  readonly seconds: number;
}

/** Prints a row as soon as it has ended, with what was expected and what came. */
export function printRow({ number, title, expected, passed, failures, skipped, figures, ...rest }: RowResult): void {
  const { neighbour, seconds } = rest;
  const health = `neighbour p99 ${neighbour.p99Ms.toFixed(1)} ms, ${neighbour.echoes} echoes`;
  console.log(`\n${passed ? "ok  " : "FAIL"} ${number} ${title} (${seconds.toFixed(1)} s; ${health})`);
  console.log(`     must show: ${expected}`);
  for (const [name, value] of Object.entries(figures)) console.log(`     ${name}: ${value}`);
  for (const text of skipped) console.log(`     left out: ${text}`);
  for (const text of failures) console.log(`     FAILED ${text}`);
}

/** Seconds that a quick run of all rows takes at most, on a machine with two cores and no other load. */
const quickSecondsMax = 120;

/** Prints the table of all rows. */
export function printSummary(results: readonly RowResult[], seconds: number, isQuick: boolean): void {
  console.log("\n| # | row | result | seconds | neighbour p99 ms |\n| --- | --- | --- | --- | --- |");
  for (const one of results) {
    const result = one.passed ? (one.skipped.length > 0 ? "ok, parts left out" : "ok") : "FAIL";
    const { p99Ms } = one.neighbour;
    console.log(`| ${one.number} | ${one.title} | ${result} | ${one.seconds.toFixed(1)} | ${p99Ms.toFixed(1)} |`);
  }
  const passed = results.filter((one) => one.passed).length;
  console.log(`\n${passed} of ${results.length} rows passed in ${seconds.toFixed(0)} s`);
  if (!isQuick || seconds <= quickSecondsMax) return;
  console.log(`expected at most ${quickSecondsMax} s: other load on this machine makes the times of the rows doubtful`);
}
