/** Which alarms belong to a system's page. */
import type { Alarm } from "../api/types.ts";

export interface Wanted {
  system: string;
  /** Ids of all enabled systems: one's name may begin with another's. */
  systems: readonly string[];
  /** Empty: the alarms of the whole system, and those on points that its page shows. */
  quantities: readonly string[];
  shown: ReadonlySet<number>;
}

export function isWanted(alarm: Alarm, { system, systems, quantities, shown }: Wanted): boolean {
  if (quantities.length > 0) return alarm.point !== null && quantities.includes(alarm.point.quantity);
  return (alarm.point !== null && shown.has(alarm.point.id)) || systemOfRule(alarm.rule.key, systems) === system;
}

/** Rules of a system are called safety-gas-lel-h; null for the park's own. */
export function systemOfRule(rule: string, systems: readonly string[]): string | null {
  const found = systems.filter((system) => rule.startsWith(`${system}-`));
  return found.sort((a, b) => b.length - a.length)[0] ?? null;
}
