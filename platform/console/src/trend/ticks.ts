/** Round times for an axis, in the park's zone. */
import { formatTime } from "../format/time.ts";
import { offsetAt } from "../format/zone.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100].map((n) => n * DAY),
];

export interface Ticks {
  at: number[];
  step: number;
}

/** At most `most` round times from start to end. */
export function ticksOf(start: number, end: number, most: number): Ticks {
  const step = STEPS.find((one) => (end - start) / one <= most) ?? 200 * DAY;
  const offset = offsetAt(start);
  const at: number[] = [];
  for (let time = Math.ceil((start + offset) / step) * step - offset; time <= end; time += step) at.push(time);
  return { at, step };
}

/** 10:00:05, 10:00, or at midnight and for days 11-23. */
export function tickText(time: number, step: number): string {
  const text = formatTime(time);
  if (step >= DAY || text.slice(11) === "00:00:00") return text.slice(5, 10);
  return step < MINUTE ? text.slice(11) : text.slice(11, 16);
}
