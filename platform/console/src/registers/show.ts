/** How the rows of a register stand in a table. */
import type { RegisterRow, RegisterSchema } from "../api/types.ts";
import { park } from "../api/park.ts";
import type { Field } from "../forms/fields.ts";
import { formatUnit } from "../format/number.ts";
import { formatPlain } from "../format/plain.ts";
import { formatTime } from "../format/time.ts";
import { both, type Messages } from "../i18n/index.ts";
import type { CellValue, Column } from "../tables/columns.ts";

export function textOfField(m: Messages, field: Field, value: unknown): string {
  if (value === null || value === undefined || value === "") return "—";
  if (typeof value === "boolean") return value ? m.form.yes : m.form.no;
  if (field.kind === "enum") {
    const known = field.values.find((one) => one.value === String(value));
    return known ? both(known.name) : String(value);
  }
  if (field.kind === "datetime") return formatTime(String(value));
  if (field.id === "asset") return assetName(value);
  if (typeof value === "number") return field.kind === "integer" ? String(value) : formatPlain(value);
  if (Array.isArray(value)) return value.map(String).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A field of a row with its unit, for where there is no head of a column. */
export function withUnit(m: Messages, field: Field, value: unknown): string {
  const unit = formatUnit(field.unit);
  const text = textOfField(m, field, value);
  return unit && text !== "—" ? `${text} ${unit}` : text;
}

/** A name of the park instead of its key, as people call an enterprise. */
export function enterpriseName(key: unknown): string {
  const found = park.value?.enterprises.find((one) => one.key === key);
  return found ? both(found.name) : String(key ?? "—");
}

function assetName(key: unknown): string {
  const found = park.value?.assets.find((one) => one.key === key);
  return found ? both(found.name) : String(key);
}

export function stateName(schema: RegisterSchema, state: string | null): string {
  const found = schema.states.find((one) => one.id === state);
  return found ? both(found.name) : (state ?? "—");
}

export function rowColumns(m: Messages, schema: RegisterSchema, fields: readonly Field[]): Column<RegisterRow>[] {
  const ofFields = fields.map((field): Column<RegisterRow> => {
    const unit = formatUnit(field.unit);
    const isOwner = field.id === schema.enterprise;
    return {
      id: `field-${field.id}`,
      title: unit ? `${both(field.label)} (${unit})` : both(field.label),
      value: (row) => cellOf(row.record[field.id]),
      text: (row) => (isOwner ? enterpriseName(row.record[field.id]) : textOfField(m, field, row.record[field.id])),
      isNumber: field.kind === "number" || field.kind === "integer",
      isWide: field.kind === "long",
    };
  });
  const state: Column<RegisterRow> = {
    id: "state",
    title: m.register.state,
    value: (row) => (row.state === null ? null : stateName(schema, row.state)),
  };
  const due: Column<RegisterRow> = { id: "due", title: m.register.due, value: (row) => row.due };
  const key = ofFields.filter((column) => schema.key.includes(column.id.slice("field-".length)));
  return [
    ...key,
    ...(schema.states.length > 0 ? [state] : []),
    due,
    ...ofFields.filter((column) => !key.includes(column)),
  ];
}

function cellOf(value: unknown): CellValue {
  if (value === null || value === undefined) return null;
  return typeof value === "number" || typeof value === "string" ? value : JSON.stringify(value);
}

export interface VersionChange {
  field: Field;
  before: unknown;
  after: unknown;
}

/** What a version says differently from the one before it. */
export function changedFields(fields: readonly Field[], newer: RegisterRow, older: RegisterRow): VersionChange[] {
  return fields
    .map((field) => ({ field, before: older.record[field.id], after: newer.record[field.id] }))
    .filter(({ before, after }) => JSON.stringify(before ?? null) !== JSON.stringify(after ?? null));
}
