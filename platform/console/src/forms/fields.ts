/** What a form asks, read from the JSON schema of a register or a report (park_sdk/register_form.py). Pure. */
import type { Both } from "../api/types.ts";

/** list: texts, one a line; json: whatever a form has no better input for. */
export type FieldKind =
  "text" | "long" | "number" | "integer" | "boolean" | "enum" | "date" | "datetime" | "month" | "list" | "json";

export interface Field {
  id: string;
  label: Both;
  unit: string;
  kind: FieldKind;
  isRequired: boolean;
  /** May be left empty, which is stored as "no value". */
  isOptional: boolean;
  values: { value: string; name: Both }[];
  low: number | null;
  high: number | null;
  default: unknown;
}

type Part = Readonly<Record<string, unknown>>;

export function fieldsOf(schema: Part): Field[] {
  const required = new Set(listOf(schema["required"]).map(String));
  return Object.entries(partOf(schema["properties"])).map(([id, property]) => {
    const whole = partOf(property);
    const members = listOf(whole["anyOf"]).map(partOf);
    const given = members.filter((member) => member["type"] !== "null");
    const part: Part = given.length === 1 ? { ...given[0] } : whole;
    const values = valuesOf(whole, part);
    return {
      id,
      label: isBoth(whole["x-label"]) ? whole["x-label"] : { zh: id, en: id },
      unit: String(whole["x-unit"] ?? ""),
      kind: kindOf(part, values.length > 0, given.length > 1),
      isRequired: required.has(id),
      isOptional: members.some((member) => member["type"] === "null"),
      values,
      low: boundOf(part, "minimum", "exclusiveMinimum"),
      high: boundOf(part, "maximum", "exclusiveMaximum"),
      default: whole["default"] ?? null,
    };
  });
}

const LONG = 300;

function kindOf(part: Part, hasValues: boolean, isMixed: boolean): FieldKind {
  if (isMixed) return "json";
  if (hasValues && part["type"] !== "array") return "enum";
  switch (part["type"]) {
    case "number":
    case "integer":
    case "boolean":
      return part["type"];
    case "string":
      if (part["format"] === "date") return "date";
      if (part["format"] === "date-time") return "datetime";
      if (isMonth(part["pattern"])) return "month";
      return Number(part["maxLength"] ?? 0) > LONG ? "long" : "text";
    case "array":
      return partOf(part["items"])["type"] === "string" ? "list" : "json";
    default:
      return "json";
  }
}

/** Whether a pattern takes 2026-11 and no other month than twelve: then it asks for a month. */
function isMonth(pattern: unknown): boolean {
  if (typeof pattern !== "string") return false;
  try {
    const takes = new RegExp(pattern, "u");
    return takes.test("2026-11") && !takes.test("2026-13") && !takes.test("2026-1");
  } catch {
    return false;
  }
}

function valuesOf(whole: Part, part: Part): Field["values"] {
  const named = new Map<string, Both>();
  for (const item of listOf(whole["x-values"])) {
    const [value, zh, en] = listOf(item).map(String);
    if (value !== undefined && zh !== undefined && en !== undefined) named.set(value, { zh, en });
  }
  const allowed = part["const"] === undefined ? listOf(part["enum"]).map(String) : [String(part["const"])];
  const all = allowed.length > 0 ? allowed : [...named.keys()];
  return all.map((value) => ({ value, name: named.get(value) ?? { zh: value, en: value } }));
}

function boundOf(part: Part, ...names: string[]): number | null {
  return names.map((name) => part[name]).find((bound) => typeof bound === "number") ?? null;
}

function partOf(value: unknown): Part {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Part) : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isBoth(value: unknown): value is Both {
  const { zh, en } = partOf(value);
  return typeof zh === "string" && typeof en === "string";
}
