/** Wall-clock time in the park's zone, as inputs of date and time hold it, to and from ms since 1970 UTC. */
import { formatTime } from "./time.ts";

/** "2026-11-23T10:00", or with seconds; "" for no time. */
export function wallOf(time: number | string | null | undefined, withSeconds = false): string {
  const text = formatTime(time);
  return /^\d/.test(text) ? text.slice(0, withSeconds ? 19 : 16).replace(" ", "T") : "";
}

/** The moment that a wall-clock time of the park's zone names; null when it names none. */
export function momentOf(wall: string): number | null {
  const guess = Date.parse(`${wall.length === 10 ? `${wall}T00:00` : wall}Z`);
  if (Number.isNaN(guess)) return null;
  // Twice: near a change of the zone's offset the first guess may lie on its other side.
  const near = guess - offsetAt(guess);
  return guess - offsetAt(near);
}

/** How far the zone is ahead of UTC, in ms. */
export function offsetAt(time: number): number {
  return Date.parse(`${wallOf(time, true)}Z`) - Math.floor(time / 1000) * 1000;
}
