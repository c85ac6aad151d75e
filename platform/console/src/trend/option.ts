/** What ECharts is told to draw. Plain data: no part of ECharts is loaded for it. */
import type { Limit } from "../api/history.ts";
import type { Both, Point } from "../api/types.ts";
import { formatUnit } from "../format/number.ts";
import { formatPlain } from "../format/plain.ts";
import { type Axis, AXIS_WIDTH, type Box } from "./axes.ts";
import { type Flaw, type Line, marksOf } from "./lines.ts";
import type { Pen } from "./pens.ts";
import type { Span } from "./range.ts";
import { ticksOf, tickText } from "./ticks.ts";

export interface Drawn {
  points: readonly Point[];
  pens: ReadonlyMap<number, Pen>;
  lines: readonly Line[];
  limits: readonly Limit[];
  axes: readonly Axis[];
  boxes: readonly Box[];
  span: Span;
  width: number;
  colours: Colours;
  both: (text: Both) => string;
}
export interface Colours {
  text: string;
  muted: string;
  line: string;
  doubt: string;
  panel: string;
  font: string;
}

/** The shapes of TrustMark and two more; drawn as outlines. */
export const FLAW_PATHS: Record<Flaw, string> = {
  bad: "M2 2h12v12H2zM5 5l6 6M11 5l-6 6",
  uncertain: "M8 1.5 15 14H1z",
  estimated: "M8 1 15 8 8 15 1 8z",
  late: "M8 2a6 6 0 1 1 0 12a6 6 0 1 1 0-12z",
};
const PIXELS_A_TICK = 95;
const PIXELS_A_MARK = 14;
const MARK_SIZE = 11;

export function optionOf(drawn: Drawn): Record<string, unknown> {
  const { axes, boxes, span, colours } = drawn;
  const plot = drawn.width - (boxes[0]?.left ?? 0) - (boxes[0]?.right ?? 0);
  const ticks = ticksOf(span.start, span.end, Math.max(2, plot / PIXELS_A_TICK));
  return {
    animation: false,
    textStyle: { fontFamily: colours.font },
    grid: boxes.map(({ left, right, top, height }) => ({ left, right, top, height, containLabel: false })),
    xAxis: boxes.map((_, index) => ({
      type: "value",
      gridIndex: index,
      min: span.start,
      max: span.end,
      axisLine: { onZero: false, lineStyle: { color: colours.line } },
      axisTick: { customValues: ticks.at },
      axisLabel: {
        customValues: ticks.at,
        show: index === boxes.length - 1,
        color: colours.muted,
        formatter: (time: number) => tickText(time, ticks.step),
        showMinLabel: true,
        showMaxLabel: true,
        hideOverlap: true,
      },
      splitLine: { show: false },
    })),
    yAxis: axes.map((axis) => yAxis(axis, drawn)),
    series: axes.flatMap((axis, index) => axis.points.flatMap((id) => seriesOf(id, index, axis.panel, drawn))),
  };
}

function yAxis(axis: Axis, { points, pens, colours, both }: Drawn): Record<string, unknown> {
  const own = points.filter((point) => axis.points.includes(point.id));
  const letters = own.map((point) => pens.get(point.id)?.letter ?? "").join("");
  const names = new Set(own.map((point) => both(point.quantity.name)));
  const unit = formatUnit(axis.unit) || (names.size === 1 ? [...names][0] : "");
  const isState = axis.unit === "state";
  return {
    type: "value",
    gridIndex: axis.panel,
    position: axis.place === 0 ? "left" : "right",
    offset: Math.max(0, axis.place - 1) * AXIS_WIDTH,
    scale: true,
    ...(isState ? { minInterval: 1 } : {}),
    name: [letters, unit].filter(Boolean).join("  "),
    nameTextStyle: { color: colours.text, align: axis.place === 0 ? "left" : "right", padding: [0, 0, 0, 0] },
    nameGap: 8,
    axisLine: { show: true, lineStyle: { color: colours.line } },
    axisTick: { show: true },
    axisLabel: { color: colours.muted, formatter: formatPlain },
    splitLine: { show: axis.place === 0, lineStyle: { color: colours.line, opacity: 0.45 } },
    splitNumber: 4,
  };
}

function seriesOf(id: number, axis: number, panel: number, drawn: Drawn): Record<string, unknown>[] {
  const line = drawn.lines.find((one) => one.point === id);
  const point = drawn.points.find((one) => one.id === id);
  const pen = drawn.pens.get(id);
  if (line === undefined || point === undefined || pen === undefined) return [];
  const on = { type: "line", xAxisIndex: panel, yAxisIndex: axis, silent: true, animation: false };
  const isStep = point.quantity.kind === "state";
  const shown = line.time.map((time, row) => [time, line.value[row] ?? null]);
  const main = {
    ...on,
    id: `line-${id}`,
    data: shown,
    showSymbol: shown.length < 3,
    symbol: "circle",
    symbolSize: 4,
    step: isStep ? "end" : false,
    connectNulls: false,
    lineStyle: { color: pen.colour, width: 1.6, type: pen.isDashed ? [5, 3] : "solid" },
    itemStyle: { color: pen.colour },
    endLabel: { show: true, formatter: pen.letter, color: pen.colour, fontWeight: "bold", distance: 3 },
    markLine: limitLines(id, drawn),
    z: 3,
  };
  return [...bandOf(line, pen, on), main, marksSeries(line, on, drawn)];
}

/** What the value ranged over within each bucket: two lines on top of each other, the upper one filled. */
function bandOf(line: Line, pen: Pen, on: Record<string, unknown>): Record<string, unknown>[] {
  const { low, high } = line;
  if (low === null || high === null) return [];
  const band = {
    ...on,
    stack: `band-${line.point}`,
    stackStrategy: "all",
    showSymbol: false,
    connectNulls: false,
    lineStyle: { opacity: 0 },
    z: 1,
  };
  const span = (row: number): number | null => {
    const [bottom, top] = [low[row] ?? null, high[row] ?? null];
    return bottom === null || top === null ? null : top - bottom;
  };
  return [
    { ...band, id: `low-${line.point}`, data: line.time.map((time, row) => [time, low[row] ?? null]) },
    {
      ...band,
      id: `high-${line.point}`,
      data: line.time.map((time, row) => [time, span(row)]),
      areaStyle: { color: pen.colour, opacity: 0.16 },
    },
  ];
}

function marksSeries(line: Line, on: Record<string, unknown>, drawn: Drawn): Record<string, unknown> {
  const { span, width, colours } = drawn;
  const marks = marksOf(line, ((span.end - span.start) / Math.max(1, width)) * PIXELS_A_MARK);
  return {
    ...on,
    id: `marks-${line.point}`,
    lineStyle: { opacity: 0, width: 0 },
    showSymbol: true,
    showAllSymbol: true,
    symbolSize: MARK_SIZE,
    data: marks.map(({ time, value, flaw }) => ({
      value: [time, value],
      symbol: `path://${FLAW_PATHS[flaw]}`,
      itemStyle: { color: colours.panel, borderColor: colours.doubt, borderWidth: 1.4 },
    })),
    z: 5,
  };
}

function limitLines(id: number, { limits, pens, colours, both }: Drawn): Record<string, unknown> {
  return {
    silent: true,
    symbol: "none",
    animation: false,
    lineStyle: { color: colours.text, width: 1, type: [2, 3], opacity: 0.75 },
    label: { position: "insideStartTop", color: colours.text, fontSize: 11, distance: 2 },
    data: limits
      .filter((limit) => limit.point === id)
      .map((limit) => ({
        yAxis: limit.value,
        label: { formatter: `${pens.get(id)?.letter ?? ""} ${both(limit.name)} ${formatPlain(limit.value)}` },
      })),
  };
}
