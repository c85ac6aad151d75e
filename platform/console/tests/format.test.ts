import assert from "node:assert/strict";
import { test } from "node:test";

import { formatBytes, formatCount, formatReading, formatUnit, formatValue } from "../src/format/number.ts";
import { isEstimated, isLate, qualityName, severityOf, trustOf } from "../src/format/quality.ts";
import { formatRecent, formatSpan, formatTime } from "../src/format/time.ts";
import { type WallKind, wallTyped } from "../src/format/wall.ts";
import { matching, sorted } from "../src/tables/columns.ts";
import { csvOf } from "../src/tables/save.ts";

test("values have four digits, and no value is a dash", () => {
  const shown: [number | null, string][] = [
    [0, "0"],
    [1.23456, "1.235"],
    [0.97640474, "0.9764"],
    [12.3456, "12.35"],
    [123.456, "123.5"],
    [1234.56, "1 235"],
    [1234567, "1 234 567"],
    [-0.00123456, "−0.001235"],
    [0.00001, "1.000e−5"],
    [null, "—"],
    [Number.NaN, "—"],
  ];
  for (const [value, text] of shown) assert.equal(formatValue(value), text);
  assert.equal(formatReading(0.000448, { low: 0, high: 200 }), "0.000");
  assert.equal(formatReading(51.8912, { low: -1e6, high: 1e6 }), "51.9");
  assert.equal(formatReading(0.7, { low: 0, high: 100 }), "0.700");
  assert.equal(formatReading(-0.077912, { low: 0, high: 100 }), "−0.0779");
  assert.equal(formatReading(7.123456, { low: 0, high: 14 }), "7.123");
  assert.equal(formatCount(12345), "12 345");
  assert.equal(formatBytes(15_300_000_000), "15.30 GB");
});

test("units are written as people write them", () => {
  assert.deepEqual(["m3/h", "mg/m3", "ug/m3", "W/m2", "1", "state", "MPa/min", "uS/cm", "kgCO2/kWh"].map(formatUnit), [
    "m³/h",
    "mg/m³",
    "µg/m³",
    "W/m²",
    "",
    "",
    "MPa/min",
    "µS/cm",
    "kgCO₂/kWh",
  ]);
});

test("times are the park's", () => {
  assert.equal(formatTime("2026-11-23T02:00:00.123456Z"), "2026-11-23 10:00:00");
  assert.equal(formatTime(Date.UTC(2026, 10, 23, 16, 0, 0)), "2026-11-24 00:00:00");
  assert.equal(formatTime(null), "—");
  const now = Date.UTC(2026, 10, 23, 15, 0, 0);
  assert.equal(formatRecent("2026-11-23T02:00:00Z", now), "10:00:00");
  assert.equal(formatRecent("2026-11-22T02:00:00Z", now), "11-22 10:00:00");
  assert.deepEqual([500, 90_000, 600_000, 10_800_000, 200_000_000].map(formatSpan), [
    "0 s",
    "90 s",
    "10 min",
    "3 h",
    "2 d",
  ]);
});

test("a date is read as people type it, and what is none is told apart from nothing", () => {
  const read: [WallKind, string, string | null][] = [
    ["date", "2026-11-24", "2026-11-24"],
    ["date", " 2026/1/2 ", "2026-01-02"],
    ["date", "2026年11月24日", "2026-11-24"],
    ["date", "2026-02-29", null],
    ["date", "11/24/2026", null],
    ["date", "2026-11-24 10:00", null],
    ["date", "", ""],
    ["month", "2026-1", "2026-01"],
    ["month", "2026年11月", "2026-11"],
    ["month", "2026-13", null],
    ["month", "2026-11-24", null],
    ["datetime", "2026-11-24", "2026-11-24T00:00"],
    ["datetime", "2026-11-24 9:05", "2026-11-24T09:05"],
    ["datetime", "2026-11-24T23:59:58", "2026-11-24T23:59:58"],
    ["datetime", "2026-11-24 24:00", null],
    ["datetime", "soon", null],
  ];
  for (const [kind, text, wall] of read) assert.equal(wallTyped(text, kind), wall, `${kind} ${text}`);
});

test("quality is told by its severity, reason and marks", () => {
  assert.deepEqual([0x00, 0x43, 0x85, 0xc0, 0x1043].map(severityOf), ["good", "uncertain", "bad", "bad", "uncertain"]);
  assert.deepEqual([0x00, 0x43, 0x85, 0x1085, 0xbf, 0x7f].map(qualityName), [
    "good",
    "uncertain_range_exceeded",
    "bad_no_answer",
    "bad_no_answer",
    "bad",
    "uncertain",
  ]);
  assert.deepEqual([isLate(0x1000), isLate(0x2000), isEstimated(0x2000)], [true, false, true]);
});

test("a good value is stale when it is too old; a bad one stays bad", () => {
  const at = (time: number, quality = 0): { time: number; quality: number } => ({ time, quality });
  assert.equal(trustOf(undefined, 3000, 0), "none");
  assert.equal(trustOf(at(0, 0x89), 3000, 0), "none");
  assert.equal(trustOf(at(0), 3000, 5000), "good");
  assert.equal(trustOf(at(0), 3000, 5001), "stale");
  assert.equal(trustOf(at(0, 0x85), 3000, 50_000), "bad");
});

const COLUMNS = [
  { id: "name", title: "名称 name", value: (row: Row) => row.name },
  { id: "size", title: "size", value: (row: Row) => row.size, text: (row: Row) => `${row.size} kB` },
];
interface Row {
  name: string;
  size: number | null;
}
const ROWS: Row[] = [
  { name: "tank-10", size: 3 },
  { name: "=1+1", size: null },
  { name: 'tank-2, "old"', size: 20 },
];

test("rows are ordered as numbers and names, missing ones last", () => {
  const names = (order: Parameters<typeof sorted>[2]): string[] => sorted(ROWS, COLUMNS, order).map((row) => row.name);
  assert.deepEqual(names({ column: "size", isDescending: false }), ["tank-10", 'tank-2, "old"', "=1+1"]);
  assert.deepEqual(names({ column: "name", isDescending: false }).slice(-2), ['tank-2, "old"', "tank-10"]);
  assert.deepEqual(
    names(null),
    ROWS.map((row) => row.name),
  );
});

test("a filter finds rows in which each word occurs", () => {
  assert.deepEqual(
    matching(ROWS, COLUMNS, "TANK 20").map((row) => row.size),
    [20],
  );
  assert.equal(matching(ROWS, COLUMNS, "  ").length, 3);
  assert.equal(matching(ROWS, COLUMNS, "pump").length, 0);
});

test("CSV quotes what it must, and no cell is a formula", () => {
  assert.equal(csvOf(COLUMNS, ROWS), '名称 name,size\r\ntank-10,3\r\n\'=1+1,\r\n"tank-2, ""old""",20\r\n');
});
