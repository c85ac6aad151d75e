/** How a report's figures stand on paper. */
import type { Both } from "../api/types.ts";
import { formatFixed, formatUnit, formatValue } from "../format/number.ts";
import { both } from "../i18n/index.ts";

export type Cell = Both | string | number | null;

/** Times as the API writes them; a date alone stays as it is. */
export function textOfCell(cell: Cell, digits: number | null = null): string {
  if (cell === null) return "—";
  if (typeof cell === "number") return digits === null ? formatPlain(cell) : formatFixed(cell, digits);
  return typeof cell === "string" ? cell : both(cell);
}

function formatPlain(value: number): string {
  return Number.isInteger(value) ? formatFixed(value, 0) : formatValue(value);
}

export function headOf(column: { name: Both; unit: string }): string {
  const unit = formatUnit(column.unit);
  return unit ? `${both(column.name)} (${unit})` : both(column.name);
}
