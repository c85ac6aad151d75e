/** A line of a trend: the rows of a point's history with the live readings after them. Times in ms since 1970 UTC. */
import type { Both } from "../api/types.ts";
import { isEstimated, isLate, severityOf } from "../format/quality.ts";

/** A row that says: from here on nothing is known (platform/park_platform/storage/history.py). */
export const NO_READING = -1;

export interface Line {
  readonly point: number;
  readonly time: number[];
  readonly value: (number | null)[];
  readonly quality: number[];
  /** Extremes of each bucket; null: the rows are readings. */
  readonly low: (number | null)[] | null;
  readonly high: (number | null)[] | null;
}

/** A stretch of which something is known to be missing; `end` null: it has no end yet. */
export interface Gap {
  readonly gateway: string;
  readonly start: number;
  readonly end: number | null;
  readonly reason: Both;
}

export function gapOf(gap: { gateway: string; from_time: string; to_time: string | null; reason: Both }): Gap {
  const end = gap.to_time === null ? null : Date.parse(gap.to_time);
  return { gateway: gap.gateway, start: Date.parse(gap.from_time), end, reason: gap.reason };
}

interface Series {
  point: number;
  time_us: number[];
  value: (number | null)[];
  quality: number[];
  low: (number | null)[] | null;
  high: (number | null)[] | null;
}

export function lineOf(series: Series): Line {
  return {
    point: series.point,
    time: series.time_us.map((time) => time / 1000),
    value: [...series.value],
    quality: [...series.quality],
    low: series.low && [...series.low],
    high: series.high && [...series.high],
  };
}

/** Put a live reading at the end; `maxAge` in ms is how long the one before it holds. Whether the line has changed. */
export function append(line: Line, reading: { time: number; value: number; quality: number }, maxAge: number): boolean {
  const last = line.time.length - 1;
  const before = line.time[last] ?? -Infinity;
  if (reading.time <= before) {
    // The history ends with "nothing is known" where the last reading has grown old; a reading of the same time ends it.
    return false;
  }
  if (line.quality[last] !== NO_READING && reading.time - before > maxAge && last >= 0)
    push(line, before + maxAge, null, NO_READING);
  push(line, reading.time, Number.isFinite(reading.value) ? reading.value : null, reading.quality);
  return true;
}

function push(line: Line, time: number, value: number | null, quality: number): void {
  line.time.push(time);
  line.value.push(value);
  line.quality.push(quality);
  line.low?.push(value);
  line.high?.push(value);
}

export interface Sample {
  time: number;
  value: number | null;
  quality: number;
  low: number | null;
  high: number | null;
}

/** What held at `time`; null before the first row and in a gap. */
export function sampleAt(line: Line, time: number): Sample | null {
  const row = lastAt(line.time, time);
  const [at, quality] = [line.time[row], line.quality[row]];
  if (at === undefined || quality === undefined || quality === NO_READING) return null;
  return {
    time: at,
    value: line.value[row] ?? null,
    quality,
    low: line.low?.[row] ?? null,
    high: line.high?.[row] ?? null,
  };
}

/** The last row at or before `time`; -1 where there is none. `times` rise. */
export function lastAt(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? Infinity) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export type Flaw = "bad" | "uncertain" | "estimated" | "late";

export function flawOf(quality: number): Flaw | null {
  if (quality === NO_READING) return null;
  const severity = severityOf(quality);
  if (severity !== "good") return severity;
  if (isEstimated(quality)) return "estimated";
  return isLate(quality) ? "late" : null;
}

export interface Mark {
  time: number;
  value: number;
  flaw: Flaw;
}

/** Where the line has to say that it is not good: at each change, and again after `apart` ms.
 *
 * A bad reading without a value is marked at the value before it.
 */
export function marksOf(line: Line, apart: number): Mark[] {
  const marks: Mark[] = [];
  let height = line.value.find((value) => value !== null) ?? null;
  let last: Mark | null = null;
  line.time.forEach((time, row) => {
    const value = line.value[row] ?? null;
    height = value ?? height;
    const flaw = flawOf(line.quality[row] ?? NO_READING);
    if (flaw === null || height === null) return;
    if (last !== null && time - last.time < (last.flaw === flaw ? apart : apart / 4)) return;
    last = { time, value: height, flaw };
    marks.push(last);
  });
  return marks;
}

/** The smallest and the largest value of the line between two times; null when there is none. */
export function extremes(line: Line, start: number, end: number): { low: number; high: number } | null {
  let [low, high] = [Infinity, -Infinity];
  line.time.forEach((time, row) => {
    if (time < start || time > end) return;
    const value = line.value[row];
    low = Math.min(low, line.low?.[row] ?? value ?? Infinity);
    high = Math.max(high, line.high?.[row] ?? value ?? -Infinity);
  });
  return low <= high ? { low, high } : null;
}
