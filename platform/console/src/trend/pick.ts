/** Finding points by what people call them: asset, quantity, system, key. */
import type { Both, Point } from "../api/types.ts";

interface System {
  id: string;
  name: Both;
}

/** The system that computes a point; null for one that is measured. */
export function systemOf(point: Point, systems: readonly System[]): System | null {
  const [id, rest] = point.name.split(".", 2);
  return rest === undefined ? null : (systems.find((system) => system.id === id) ?? null);
}

/** Points in which every word occurs somewhere, in either language; those of one quantity and asset stay together. */
export function findPoints(
  points: Iterable<Point>,
  systems: readonly System[],
  text: string,
  asked: { system?: string; without?: ReadonlySet<number> } = {},
): Point[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found: Point[] = [];
  for (const point of points) {
    if (asked.without?.has(point.id)) continue;
    const system = systemOf(point, systems);
    if (asked.system && (asked.system === MEASURED ? system !== null : system?.id !== asked.system)) continue;
    if (words.length > 0) {
      const whole = wordsOf(point, system);
      if (!words.every((word) => whole.includes(word))) continue;
    }
    found.push(point);
  }
  return found.sort(
    (a, b) => (a.asset?.key ?? "~").localeCompare(b.asset?.key ?? "~") || a.quantity.id.localeCompare(b.quantity.id),
  );
}

/** What stands for "no system" where one is chosen. */
export const MEASURED = "-";

function wordsOf(point: Point, system: System | null): string {
  const names = [point.quantity.name, point.asset?.name, point.asset?.owner?.name, system?.name];
  const texts = names.flatMap((name) => (name ? [name.zh, name.en] : []));
  return [point.key, point.quantity.id, point.asset?.key ?? "", point.asset?.kind ?? "", point.unit, ...texts]
    .join(" ")
    .toLowerCase();
}
