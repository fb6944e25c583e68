import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { formatBytes, formatShort } from "./format.js";

export interface ChartLine {
  readonly label: string;
  /** The custom property of the style sheet with its color. */
  readonly color: string;
  readonly values: readonly number[];
}

interface ChartProps {
  readonly title: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
  format(value: number): string;
  /** Whether the axis has bytes in steps of powers of 2. Default: numbers in steps of 1, 2, 5, 10 and so on. */
  readonly isBytes?: boolean;
}

const heightPx = 150;
const windowSeconds = 300;
/** The steps of the vertical axis: 1, 2, 5, 10 and so on. There is no half connection. */
const wholeSteps = Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

const byteSteps = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** A chart of the last minutes. Its caption has the last values, or those under the pointer. */
export function Chart(props: ChartProps) {
  const { title, times, lines, format } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const [pointed, setPointed] = useState<number>();
  const isDark = useIsDark();
  const labels = lines.map(({ label, color }) => `${label} ${color}`).join();
  // New values are set below; only new labels and colors need a new chart.
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return undefined;
    const chart = new uPlot(optionsOf(parent, props, setPointed), dataOf(times, lines), parent);
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: widthOf(parent), height: heightPx }));
    observer.observe(parent);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [labels, isDark]);
  // The columns are the same arrays with more values, so every rendering passes them on.
  useEffect(() => plot.current?.setData(dataOf(times, lines)));
  const index = pointed ?? times.length - 1;
  const values = lines.map(
    ({ label, values }) => `${label} ${values[index] === undefined ? "–" : format(values[index])}`,
  );
  return (
    <figure class="panel chart">
      <figcaption>
        <h2>{title}</h2>
        <ul>
          {values.map((text, line) => (
            <li key={lines[line]?.label} class={lines[line]?.color}>
              {text}
            </li>
          ))}
        </ul>
      </figcaption>
      <div
        ref={box}
        class="plot"
        role="img"
        aria-label={`${title} in the last five minutes. Now: ${values.join(", ")}`}
      />
    </figure>
  );
}

function dataOf(times: readonly number[], lines: readonly ChartLine[]): uPlot.AlignedData {
  return [[...times], ...lines.map(({ values }) => [...values])];
}

type OnPoint = (index: number | undefined) => void;

function optionsOf(parent: HTMLElement, { lines, isBytes = false }: ChartProps, onPoint: OnPoint): uPlot.Options {
  const style = getComputedStyle(parent);
  const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: color("soft"), font: "12px system-ui", grid: { stroke: color("edge"), width: 1 } };
  const ticks = { show: false };
  const format = isBytes ? formatBytes : formatShort;
  const valueAxis = {
    size: isBytes ? 60 : 48,
    incrs: isBytes ? byteSteps : wholeSteps,
    values: (_plot: uPlot, values: readonly number[]) => values.map((value) => format(value)),
  };
  return {
    width: widthOf(parent),
    height: heightPx,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      x: { range: (_plot, _min, max) => [max - windowSeconds, max] },
      y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1, 4)] },
    },
    axes: [
      { ...axis, ticks, space: 70, size: 28, values: (_plot, times) => times.map(clockOf) },
      { ...axis, ticks, ...valueAxis, space: 24 },
    ],
    series: [{}, ...lines.map((line) => ({ stroke: color(line.color), width: 2, points: { show: false } }))],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
  };
}

/** The width in whole pixels; `clientWidth` may round it up. */
function widthOf(element: HTMLElement): number {
  return Math.floor(element.getBoundingClientRect().width);
}

function clockOf(seconds: number): string {
  return new Date(seconds * 1000).toTimeString().slice(0, 8);
}

function useIsDark(): boolean {
  const [isDark, setIsDark] = useState(false);
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const update = () => setIsDark(query.matches);
    update();
    query.addEventListener("change", update);
    return () => query.removeEventListener("change", update);
  }, []);
  return isDark;
}
