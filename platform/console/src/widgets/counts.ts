/** What a counter counted in each hour or day, from its history. Times in ms since 1970 UTC. */
import { momentOf, wallOf } from "../format/zone.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MOST_STEPS = 400;

/** The beginnings of the last `steps` hours or days in the park's zone, and the end of the one that runs. */
export function edgesOf(step: string, steps: number, now: number): number[] {
  const count = Math.min(MOST_STEPS, Math.max(1, Math.round(steps)));
  const wall = wallOf(now);
  if (step !== "day") {
    const begin = momentOf(`${wall.slice(0, 13)}:00`) ?? now;
    return Array.from({ length: count + 1 }, (_, index) => begin + (index - count + 1) * HOUR);
  }
  const today = momentOf(wall.slice(0, 10)) ?? now;
  // By noon of each day: a day of 23 or 25 hours is still that day.
  const dayOf = (index: number): number => momentOf(wallOf(today + index * DAY + DAY / 2).slice(0, 10)) ?? today;
  return Array.from({ length: count + 1 }, (_, index) => dayOf(index - count + 1));
}

export interface Count {
  start: number;
  /** null: not known, which is not zero. */
  value: number | null;
  /** The step has no reading from before it, or the counter began anew within it: at least so much. */
  isPart: boolean;
}

interface Series {
  time_us: number[];
  value: (number | null)[];
}

/** `bucketMs`: a row is the last reading of so long a time from its own on; null: rows are readings. */
export function countsOf(series: Series, edges: readonly number[], bucketMs: number | null): Count[] {
  const rows = series.time_us.flatMap((time, row) => {
    const value = series.value[row];
    return value === null || value === undefined ? [] : [{ time: time / 1000 + (bucketMs ?? 0), value }];
  });
  return edges.slice(0, -1).map((start, index) => {
    const end = edges[index + 1] ?? start;
    const before = rows.findLast((row) => row.time <= start)?.value;
    const within = rows.filter((row) => row.time > start && row.time <= end);
    // One reading alone says where a counter stands, and nothing of what it has counted.
    if (within.length === (before === undefined ? 1 : 0) || within.length === 0)
      return { start, value: null, isPart: false };
    let [last, sum] = [before ?? within[0]?.value ?? 0, 0];
    let isPart = before === undefined;
    for (const { value } of within) {
      // A counter that falls was reset or exchanged: what it shows since then has been counted, at least.
      if (value < last) isPart = true;
      sum += value < last ? value : value - last;
      last = value;
    }
    return { start, value: sum, isPart };
  });
}
