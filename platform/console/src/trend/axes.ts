/** Which y axes a trend has: one for each unit. Up to three share a panel; more stand in panels of their own. */

export interface Axis {
  /** As the API writes it; two quantities of one unit share an axis. */
  unit: string;
  points: number[];
  panel: number;
  /** Which of its panel: 0 at the left, 1 at the right, 2 farther right. */
  place: number;
}

const SHARED = 3;

export function axesOf(points: readonly { id: number; unit: string }[]): Axis[] {
  const units = new Map<string, number[]>();
  for (const { id, unit } of points) {
    const list = units.get(unit);
    if (list === undefined) units.set(unit, [id]);
    else list.push(id);
  }
  const isStacked = units.size > SHARED;
  return [...units].map(([unit, list], index) => ({
    unit,
    points: list,
    panel: isStacked ? index : 0,
    place: isStacked ? 0 : index,
  }));
}

export interface Box {
  left: number;
  right: number;
  top: number;
  height: number;
}

const AXIS_WIDTH = 54;
const HEAD = 22;
const FOOT = 22;
const BETWEEN = 26;

/** Where the panels stand in so many pixels. Left and right are distances from the edges, the same for all panels. */
export function boxesOf(axes: readonly Axis[], height: number): Box[] {
  const panels = Math.max(1, ...axes.map((axis) => axis.panel + 1));
  const atRight = Math.max(0, ...axes.map((axis) => axis.place));
  const each = Math.max(40, (height - HEAD - FOOT - BETWEEN * (panels - 1)) / panels);
  return Array.from({ length: panels }, (_, panel) => ({
    left: AXIS_WIDTH,
    right: Math.max(26, atRight * AXIS_WIDTH),
    top: HEAD + panel * (each + BETWEEN),
    height: each,
  }));
}

export { AXIS_WIDTH };
