/** Short names for the API's types, which are made from openapi.json (`npm run types`). */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Both = Schemas["Both"];
export type Reference = Schemas["Reference"];
export type Session = Schemas["SessionAnswer"];
export type Point = Schemas["PointAnswer"];
export type Latest = Schemas["LatestAnswer"];
export type History = Schemas["HistoryAnswer"];
export type Series = Schemas["SeriesAnswer"];
export type Alarm = Schemas["AlarmAnswer"];
export type AlarmWithJournal = Schemas["AlarmWithJournal"];
export type JournalLine = Schemas["JournalAnswer"];
export type AlarmState = Alarm["state"];
export type Priority = Alarm["priority"];
export type ParkEvent = Schemas["EventAnswer"];
export type Gateway = Schemas["GatewayAnswer"];
export type Gap = Schemas["GapAnswer"];
export type DeadLetter = Schemas["LetterAnswer"];
export type Quarantined = Schemas["QuarantineAnswer"];
export type Conflict = Schemas["ConflictAnswer"];
export type Status = Schemas["StatusAnswer"];

/** Some items; `next`, sent as `cursor`, asks for those that follow. */
export interface Page<Item> {
  items: Item[];
  next: string | null;
}

export const PRIORITIES: readonly Priority[] = ["critical", "high", "medium", "low"];
export const ALARM_STATES: readonly AlarmState[] = [
  "unacknowledged",
  "acknowledged",
  "returned",
  "latched_unacknowledged",
  "latched_acknowledged",
  "normal",
];

/** Longitude and latitude in degrees. */
export type Place = [number, number];
export type Park = Schemas["ParkAnswer"];
export type Zone = Schemas["ZoneAnswer"];
export type Asset = Schemas["AssetOfParkAnswer"];
export type Device = Schemas["DeviceAnswer"];

/** A page, a register or a report of a system. */
export type Part = Schemas["PartAnswer"];
export type ParkSystem = Schemas["SystemAnswer"];
export type SystemPage = Schemas["PageAnswer"];
export type Widget = SystemPage["widgets"][number];

export type RegisterSchema = Schemas["RegisterSchemaAnswer"];
export type RegisterRow = Schemas["RowAnswer"];
export type RegisterImport = Schemas["ImportAnswer"];

export type ReportSchema = Schemas["ReportSchemaAnswer"];
export type ReportDocument = Schemas["DocumentAnswer"];
