/** Assets as the overview shows them: from GET /park, or, on a server without it, from the points. */
import { computed } from "vue";

import { park } from "../api/park.ts";
import { points } from "../api/points.ts";
import type { Asset, Place, Point } from "../api/types.ts";
import { reading } from "../live/live.ts";

/** What of an asset is worth a place on the plan, the most important first; what is not named comes after. */
const IMPORTANT = [
  "pressure",
  "pipeline-pressure",
  "level",
  "temperature",
  "gas-lel",
  "gas-h2s",
  "gas-nh3",
  "gate-position",
  "pipeline-flow",
  "active-power",
  "steam-flow",
  "gas-flow",
  "water-flow",
  "reclaimed-water-flow",
  "so2-converted",
  "nox-converted",
  "dust-converted",
  "so2",
  "nox",
  "cod",
  "ammonia-nitrogen",
  "ph",
  "pm25",
  "waste-weight",
  "gross-weight",
  "speed",
  "barrier",
];
/** What moves on its own: no position, hence no place on the plan but the live one. */
const LONGITUDE = "longitude";
const LATITUDE = "latitude";
/** Kinds that come first when labels compete for room. */
const KINDS_FIRST = [
  "sphere-tank",
  "pressure-vessel",
  "reactor",
  "boiler-drum",
  "pipeline",
  "gas-detector",
  "stack",
  "outfall",
];

export const pointsByAsset = computed(() => {
  const found = new Map<string, Point[]>();
  for (const point of points.value.values()) {
    if (point.asset === null) continue;
    const list = found.get(point.asset.key);
    if (list === undefined) found.set(point.asset.key, [point]);
    else list.push(point);
  }
  return found;
});

export const assets = computed<readonly Asset[]>(() => {
  if (park.value !== null) return park.value.assets;
  const found = new Map<string, Asset>();
  for (const { asset } of points.value.values()) {
    if (asset === null || found.has(asset.key)) continue;
    const { key, kind, name, owner } = asset;
    found.set(key, { key, kind, name, zone: null, enterprise: owner?.key ?? null, at: null, fed_from: null });
  }
  return [...found.values()];
});

/** An asset's points, gauges and states before counters, the most important first. */
export function byImportance(list: readonly Point[]): Point[] {
  return [...list].sort((a, b) => importance(a) - importance(b) || part(a) - part(b) || a.id - b.id);
}

/** The points whose values stand beside the asset on the plan. */
export function mainPoints(key: string, most: number): Point[] {
  const list = pointsByAsset.value.get(key) ?? [];
  const shown = byImportance(list.filter((point) => importance(point) < HIDDEN));
  // One of each quantity: two phases of a current tell less than a current and a power.
  const quantities = new Set<string>();
  const units = new Set<string>();
  return (
    shown
      .filter(({ quantity }) => !quantities.has(quantity.id) && quantities.add(quantity.id))
      // A bare number says nothing on a plan.
      .filter(({ unit, quantity }) => unit !== "1" || quantity.kind === "state")
      .filter((point) => !isComputed(point) || Number.isFinite(reading(point.id)?.value))
      // Numbers stand there without their names: two of one unit could not be told apart.
      .filter(({ unit, quantity }) => quantity.kind === "state" || (!units.has(unit) && units.add(unit)))
      .slice(0, most)
  );
}

/** A derived value that can't be computed yet tells nothing on a plan; a measured one that never came is missing, and says so. */
function isComputed(point: Point): boolean {
  return point.name.includes(".");
}

/** Where an asset is: its place in park.toml, or where it says that it is. */
export function placeOf(asset: Asset): Place | null {
  if (asset.at !== null) return asset.at;
  const list = pointsByAsset.value.get(asset.key) ?? [];
  const of = (quantity: string): number | undefined => {
    const point = list.find((one) => one.quantity.id === quantity);
    return point && reading(point.id)?.value;
  };
  const [east, north] = [of(LONGITUDE), of(LATITUDE)];
  return east !== undefined && north !== undefined && Number.isFinite(east) && Number.isFinite(north)
    ? [east, north]
    : null;
}

/** The order in which labels take their room, before alarms. */
export function rankOf(asset: Asset): number {
  const rank = KINDS_FIRST.indexOf(asset.kind);
  return rank < 0 ? KINDS_FIRST.length + (asset.fed_from === null ? 0 : 1) : rank;
}

const HIDDEN = 1000;

/** The whole before its parts: a point called like its quantity before those of the phases. */
function part(point: Point): number {
  return point.name === point.quantity.id ? 0 : 1;
}

function importance(point: Point): number {
  const { id, kind } = point.quantity;
  if (id === LONGITUDE || id === LATITUDE || id === "sample-ordinal") return HIDDEN;
  const rank = IMPORTANT.indexOf(id);
  if (rank >= 0) return rank;
  return IMPORTANT.length + (kind === "gauge" ? 0 : kind === "state" ? 1 : 2);
}
