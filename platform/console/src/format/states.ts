import type { Both, Point } from "../api/types.ts";

/** What a value of a state means (0: closed, 1: lifted); undefined for anything that is no state. */
export function stateName(point: Point, value: number): Both | undefined {
  return point.quantity.states[String(value)];
}
