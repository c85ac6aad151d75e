/** What somebody has typed so far, and the record that it makes. What is wrong with it is the server's to say: a number
 * that is none goes as the text that it is, so that all faults come at once and in the same words.
 */
import type { Both } from "../api/types.ts";
import { momentOf, wallOf } from "../format/zone.ts";
import type { Field } from "./fields.ts";

/** Texts as inputs hold them; a boolean is "true" or "false". */
export type Draft = Record<string, string>;

export function draftOf(fields: readonly Field[], record: Readonly<Record<string, unknown>> | null): Draft {
  return Object.fromEntries(fields.map((field) => [field.id, typed(field, (record ?? {})[field.id] ?? field.default)]));
}

function typed(field: Field, value: unknown): string {
  if (value === null || value === undefined) return field.kind === "boolean" && !field.isOptional ? "false" : "";
  if (field.kind === "datetime") return wallOf(String(value), true);
  if (field.kind === "list" && Array.isArray(value)) return value.join("\n");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What is empty is left out, or "no value" where the field may have none. */
export function recordOf(fields: readonly Field[], draft: Draft): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const field of fields) {
    const text = draft[field.id] ?? "";
    const value = text.trim() === "" ? null : meant(field, text);
    if (value !== null) record[field.id] = value;
    else if (field.isOptional) record[field.id] = null;
  }
  return record;
}

function meant(field: Field, text: string): unknown {
  switch (field.kind) {
    case "number":
    case "integer": {
      const number = Number(text.trim().replace("−", "-"));
      return Number.isFinite(number) ? number : text.trim();
    }
    case "boolean":
      return text === "true";
    case "datetime": {
      const moment = momentOf(text);
      return moment === null ? text : new Date(moment).toISOString();
    }
    case "list":
      return text
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean);
    case "json":
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
    default:
      return text;
  }
}

export interface FieldFault {
  field: string;
  message: Both;
}

/** The faults that a problem carries; empty when it carries none. */
export function faultsOf(fields: Readonly<Record<string, unknown>>): FieldFault[] {
  const faults = fields["faults"];
  if (!Array.isArray(faults)) return [];
  return faults.filter(
    (fault): fault is FieldFault => typeof fault?.field === "string" && typeof fault?.message?.zh === "string",
  );
}

/** A fault of a part ("stops.2.name") is told at its field. */
export function faultsAt(faults: readonly FieldFault[], field: string): FieldFault[] {
  return faults.filter((fault) => fault.field.split(".")[0] === field);
}
