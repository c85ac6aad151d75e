/** From longitude and latitude to the screen. Pure. */
import type { Place } from "../api/types.ts";

export interface Spot {
  x: number;
  y: number;
}

/** Metres east and north of a middle; true enough over the few kilometres of a park. */
export interface Frame {
  middle: Place;
  /** Half of the extent, in metres. */
  halfWidth: number;
  halfHeight: number;
}

/** What the person looks at: `x`, `y` metres east and north of the frame's middle are in the middle of the screen. */
export interface View {
  x: number;
  y: number;
  pixelsPerMetre: number;
}

const METRES_PER_DEGREE = 111_320;
const SMALLEST_HALF = 50;

/** The frame that holds all these places; null without any. */
export function frameOf(places: readonly Place[]): Frame | null {
  if (places.length === 0) return null;
  const east = places.map((place) => place[0]);
  const north = places.map((place) => place[1]);
  const [west, right, south, top] = [Math.min(...east), Math.max(...east), Math.min(...north), Math.max(...north)];
  const middle: Place = [(west + right) / 2, (south + top) / 2];
  return {
    middle,
    halfWidth: Math.max(((right - west) / 2) * metresPerDegreeEast(middle[1]), SMALLEST_HALF),
    halfHeight: Math.max(((top - south) / 2) * METRES_PER_DEGREE, SMALLEST_HALF),
  };
}

/** Whether a place is within the frame, or not far from it. */
export function isNear(frame: Frame, place: Place): boolean {
  const { x, y } = metres(frame, place);
  return Math.abs(x) <= 1.3 * frame.halfWidth && Math.abs(y) <= 1.3 * frame.halfHeight;
}

/** The view in which the whole frame fits into a screen of this size, with a margin in pixels. */
export function fitView(frame: Frame, width: number, height: number, margin: number): View {
  const across = Math.max(width - 2 * margin, 50) / (2 * frame.halfWidth);
  const down = Math.max(height - 2 * margin, 50) / (2 * frame.halfHeight);
  return { x: 0, y: 0, pixelsPerMetre: Math.min(across, down) };
}

export function metres(frame: Frame, place: Place): Spot {
  return {
    x: (place[0] - frame.middle[0]) * metresPerDegreeEast(frame.middle[1]),
    y: (place[1] - frame.middle[1]) * METRES_PER_DEGREE,
  };
}

/** Where a place is on a screen of this size; y grows downwards. */
export function toScreen(frame: Frame, view: View, width: number, height: number, place: Place): Spot {
  const at = metres(frame, place);
  return {
    x: width / 2 + (at.x - view.x) * view.pixelsPerMetre,
    y: height / 2 - (at.y - view.y) * view.pixelsPerMetre,
  };
}

/** Closer by `factor`, so that what is under `spot` stays there. */
export function zoomAt(
  view: View,
  width: number,
  height: number,
  spot: Spot,
  factor: number,
  limits: [number, number],
): View {
  const pixelsPerMetre = Math.min(Math.max(view.pixelsPerMetre * factor, limits[0]), limits[1]);
  const change = 1 / view.pixelsPerMetre - 1 / pixelsPerMetre;
  return {
    x: view.x + (spot.x - width / 2) * change,
    y: view.y - (spot.y - height / 2) * change,
    pixelsPerMetre,
  };
}

function metresPerDegreeEast(latitude: number): number {
  return METRES_PER_DEGREE * Math.cos((latitude * Math.PI) / 180);
}
