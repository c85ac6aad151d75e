import { get, getText } from "./http.ts";
import { listAlarms } from "./alarms.ts";
import type { Both, History, Priority } from "./types.ts";

/** What points showed; times in ms since 1970 UTC, `rows` at most for each point. Throws Problem. */
export function readHistory(
  points: readonly number[],
  start: number,
  end: number,
  rows: number,
  signal?: AbortSignal,
): Promise<History> {
  return get("/history", asked(points, start, end, rows), signal);
}

/** The same as CSV. Throws Problem. */
export function readHistoryCsv(points: readonly number[], start: number, end: number, rows: number): Promise<string> {
  return getText("/history", asked(points, start, end, rows));
}

function asked(points: readonly number[], start: number, end: number, rows: number) {
  return {
    point: points,
    start: new Date(start).toISOString(),
    end: new Date(end).toISOString(),
    max_points: Math.min(10_000, Math.max(2, Math.round(rows))),
  };
}

export interface Limit {
  point: number;
  value: number;
  name: Both;
  priority: Priority;
}

/** The limits that alarms of a point were last raised by; the API tells no others. */
export async function readLimits(point: number): Promise<Limit[]> {
  const found = new Map<string, Limit>();
  for (const alarm of (await listAlarms({ point }, null, 50)).items) {
    if (alarm.limit === null || found.has(alarm.rule.key)) continue;
    found.set(alarm.rule.key, { point, value: alarm.limit, name: alarm.rule.name, priority: alarm.priority });
  }
  return [...found.values()];
}
