/** What the live stream says (docs/api.md, "The live stream"), read and checked. Times in ms since 1970 UTC. */
import type { AlarmState, Both, Priority } from "../api/types.ts";
import { type Cbor, decode } from "./cbor.ts";

/** The last reading of a point. `value` NaN: a bad reading without a value. */
export interface Reading {
  readonly time: number;
  readonly value: number;
  readonly quality: number;
}

export interface AlarmLine {
  kind: "raised" | "cleared" | "reset" | "acknowledged";
  alarm: number;
  state: AlarmState;
  priority: Priority;
  name: Both;
  subject: string;
  at: string;
  recorded_at: string;
}

interface Head {
  seq: number;
  serverTime: number;
}
export type Message = Head &
  (
    | { kind: "snapshot"; readings: [number, Reading][]; more: boolean }
    | { kind: "values"; readings: [number, Reading][] }
    | { kind: "alarms"; lines: AlarmLine[]; missed: boolean }
    | { kind: "heartbeat"; database: boolean; broker: boolean }
    | { kind: "unknown" }
  );

/** Read one message. Throws SyntaxError or RangeError when it is not one of ours. */
export function readMessage(buffer: ArrayBuffer): Message {
  const map = decode(buffer);
  if (!isMap(map) || map["v"] !== 1 || typeof map["seq"] !== "number") throw new SyntaxError("no message of version 1");
  const head = { seq: map["seq"], serverTime: Number(map["server_time_us"]) / 1000 };
  switch (map["kind"]) {
    case "snapshot":
      return { ...head, kind: "snapshot", readings: readingsOf(map), more: map["more"] === true };
    case "values":
      return { ...head, kind: "values", readings: readingsOf(map) };
    case "alarms":
      return { ...head, kind: "alarms", lines: map["lines"] as unknown as AlarmLine[], missed: map["missed"] === true };
    case "heartbeat":
      return { ...head, kind: "heartbeat", database: map["database"] === true, broker: map["broker"] === true };
    default:
      // A later server may say more than we know.
      return { ...head, kind: "unknown" };
  }
}

function readingsOf(map: { [key: string]: Cbor }): [number, Reading][] {
  const { point, time_us: time, value, quality } = map;
  if (
    !(point instanceof Int32Array) ||
    !(time instanceof BigInt64Array) ||
    !(value instanceof Float64Array) ||
    !(quality instanceof Int32Array) ||
    new Set([point.length, time.length, value.length, quality.length]).size > 1
  ) {
    throw new SyntaxError("columns are missing or unequal");
  }
  return Array.from(point, (id, row) => [
    id,
    { time: Number(time[row]) / 1000, value: value[row] ?? Number.NaN, quality: quality[row] ?? 0 },
  ]);
}

function isMap(item: Cbor): item is { [key: string]: Cbor } {
  return typeof item === "object" && item !== null && !Array.isArray(item) && !ArrayBuffer.isView(item);
}
