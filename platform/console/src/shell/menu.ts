/** The menu: what a role may open, and the pages of the systems that the API lists for it. */
import type { Role } from "../api/session.ts";
import type { Part, ParkSystem } from "../api/types.ts";
import { both, fill, type Messages } from "../i18n/index.ts";

export interface MenuItem {
  to: string;
  label: string;
  /** Two signs for the folded menu. */
  short: string;
}
export interface MenuGroup {
  id: string;
  label: string;
  /** Why a system does not do all that it should; empty when it does. */
  fault: string;
  items: MenuItem[];
}

interface Entry {
  to: string;
  label: keyof Messages["menu"];
  short: string;
  /** Whose menu has it; the API decides for itself who may read (platform/park_platform/access/policy.py). */
  readers?: readonly Role[];
}

const PARK: readonly Role[] = ["administrator", "operator", "safety", "auditor"];
const MAIN: readonly Entry[] = [
  { to: "/", label: "overview", short: "⌂" },
  { to: "/alarms", label: "alarms", short: "⚠" },
  { to: "/trend", label: "trend", short: "∿" },
];
const DATA: readonly Entry[] = [
  { to: "/gateways", label: "gateways", short: "GW", readers: PARK },
  { to: "/devices", label: "devices", short: "DV", readers: PARK },
  { to: "/gaps", label: "gaps", short: "GP" },
  { to: "/dead-letters", label: "deadLetters", short: "DL", readers: PARK },
  { to: "/quarantine", label: "quarantine", short: "QT" },
  { to: "/conflicts", label: "conflicts", short: "CF" },
];

export function menuOf(m: Messages, role: Role | null, systems: readonly ParkSystem[]): MenuGroup[] {
  const shown = (entries: readonly Entry[]): MenuItem[] =>
    entries
      .filter((entry) => role !== null && (entry.readers === undefined || entry.readers.includes(role)))
      .map((entry) => ({ to: entry.to, label: m.menu[entry.label], short: entry.short }));
  const groups = [
    { id: "main", label: "", fault: "", items: shown(MAIN) },
    ...systems.map((system) => systemGroup(m, system)),
    { id: "data", label: m.menu.data, fault: "", items: shown(DATA) },
  ];
  return groups.filter((group) => group.items.length > 0 || group.fault);
}

function systemGroup(m: Messages, system: ParkSystem): MenuGroup {
  const item = (kind: string, one: Part): MenuItem => {
    const label = both(one.name);
    return { to: `/${kind}/${system.id}/${one.id}`, label, short: label.slice(0, 2) };
  };
  return {
    id: `system-${system.id}`,
    label: both(system.name),
    fault: system.fault === null ? "" : fill(m.menu.fenced, { fault: both(system.fault) }),
    items: [
      ...system.pages.map((page) => item("systems", page)),
      ...system.registers.map((register) => item("registers", register)),
      ...system.reports.map((report) => item("reports", report)),
    ],
  };
}
