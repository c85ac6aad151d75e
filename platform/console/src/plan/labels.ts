/** Labels beside their marks without covering each other: the important ones first, the others where there is room. Pure. */

import type { Spot } from "./project.ts";

export interface Label {
  id: string;
  /** The middle of the mark. */
  x: number;
  y: number;
  /** How wide it is in full, and cut short once, twice …: the first that finds room is taken. */
  widths: readonly number[];
  height: number;
  /** Lower comes first. */
  rank: number;
  /** Its mark has a sign of an alarm at its upper right. */
  hasSign: boolean;
  /** A mark that drives around gets its label last, and no label makes room for it. */
  moves: boolean;
}

/** A label that found room: its upper left corner, which of its widths it has, and at which end the mark is. */
export interface Placed extends Spot {
  cut: number;
  width: number;
  anchor: "start" | "middle" | "end";
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Half of a mark, and the gap to its label; further where the sign of an alarm is. */
const REACH = 12;
const REACH_SIGN = 24;

/** Where each label goes that finds room on a screen of this size; marks that stand still, and what else is `kept`
 * free, are never covered.
 */
export function placeLabels(
  labels: readonly Label[],
  width: number,
  height: number,
  kept: readonly Box[] = [],
): Map<string, Placed> {
  const marks = labels.filter((label) => !label.moves).map(markOf);
  const taken: Box[] = [...kept, ...marks];
  const placed = new Map<string, Placed>();
  for (const label of [...labels].sort((a, b) => Number(a.moves) - Number(b.moves) || a.rank - b.rank)) {
    const place = placesOf(label).find((one) => {
      const box = boxOf(one, label.height);
      const isInside = box.left >= 0 && box.top >= 0 && box.right <= width && box.bottom <= height;
      return isInside && !taken.some((other) => overlaps(box, other));
    });
    if (place === undefined) continue;
    taken.push(boxOf(place, label.height));
    placed.set(label.id, place);
  }
  return placed;
}

function markOf({ x, y, hasSign }: Label): Box {
  return { left: x - 9, top: y - (hasSign ? 21 : 9), right: x + (hasSign ? 22 : 9), bottom: y + 9 };
}

function boxOf(place: Placed, height: number): Box {
  return { left: place.x, top: place.y, right: place.x + place.width, bottom: place.y + height };
}

/** The places to try, the best first: right, left, below, above, then the corners; in full, then cut short. */
function placesOf({ x, y, widths, height, hasSign }: Label): Placed[] {
  const right = x + (hasSign ? REACH_SIGN : REACH);
  const middle = y - height / 2;
  const above = y - (hasSign ? REACH_SIGN : REACH) - height;
  const below = y + REACH;
  return widths.flatMap((width, cut): Placed[] => {
    const left = x - REACH - width;
    const centre = x - width / 2;
    return [
      { cut, width, x: right, y: middle, anchor: "start" },
      { cut, width, x: left, y: middle, anchor: "end" },
      { cut, width, x: centre, y: below, anchor: "middle" },
      { cut, width, x: centre, y: above, anchor: "middle" },
      { cut, width, x: x - 9, y: below, anchor: "start" },
      { cut, width, x: x + 9 - width, y: below, anchor: "end" },
      { cut, width, x: x - 9, y: above, anchor: "start" },
      { cut, width, x: x + 9 - width, y: above, anchor: "end" },
    ];
  });
}

function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

/** About how wide a text is at this size, in pixels: Chinese signs are as wide as high. */
export function textWidth(text: string, size: number): number {
  let units = 0;
  for (const sign of text) units += (sign.codePointAt(0) ?? 0) > 0x2e80 ? 1 : 0.58;
  return units * size;
}

/** The text; where it is wider than `most`, with an ellipsis for what is between its beginning and its end. */
export function shorten(text: string, size: number, most: number): string {
  if (textWidth(text, size) <= most) return text;
  // Names of one owner begin alike and differ at their end.
  const signs = [...text];
  const head = signs.slice(0, countThatFit(signs, size, most * 0.35));
  const tail = signs.slice(-Math.max(1, countThatFit(signs.toReversed(), size, most * 0.65 - size)));
  return `${head.join("").trimEnd()}…${tail.join("").trimStart()}`;
}

function countThatFit(signs: readonly string[], size: number, most: number): number {
  let width = 0;
  const over = signs.findIndex((sign) => (width += textWidth(sign, size)) > most);
  return over < 0 ? signs.length : over;
}
