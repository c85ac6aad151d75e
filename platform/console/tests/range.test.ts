import assert from "node:assert/strict";
import { test } from "node:test";

import { edged, panned, PRESETS, readPoints, readRange, type Span, writeRange, zoomed } from "../src/trend/range.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse("2026-11-24T08:00:00Z");
const SPAN: Span = { start: NOW - 2 * HOUR, end: NOW - HOUR };

test("an edge goes where it is put, and the other one gives way only where it must", () => {
  assert.deepEqual(edged(SPAN, "start", NOW - 3 * HOUR, NOW), { start: NOW - 3 * HOUR, end: SPAN.end });
  assert.deepEqual(edged(SPAN, "end", NOW, NOW), { start: SPAN.start, end: NOW });
  assert.deepEqual(edged(SPAN, "start", NOW - 1, NOW).end - edged(SPAN, "start", NOW - 1, NOW).start, HOUR);
  assert.deepEqual(edged(SPAN, "end", NOW - DAY, NOW), { start: NOW - DAY - HOUR, end: NOW - DAY });
  assert.deepEqual(edged(SPAN, "start", NOW - 900 * DAY, NOW), { start: NOW - 900 * DAY, end: NOW - 900 * DAY + HOUR });
});

test("no hand leads into the future, into less than ten seconds, or into more than can be asked for", () => {
  const moved = [
    edged(SPAN, "start", NOW + DAY, NOW),
    edged(SPAN, "end", NOW + DAY, NOW),
    panned(SPAN, DAY, NOW),
    zoomed(SPAN, 1e9, SPAN.end, NOW),
    zoomed(SPAN, 1e-9, SPAN.end, NOW),
  ];
  for (const { start, end } of moved) {
    assert.ok(end <= NOW + 60_000);
    assert.ok(end - start >= 10_000 && end - start <= 400 * DAY);
    const range = { kind: "fixed" as const, start, end };
    assert.deepEqual(readRange(writeRange(range)), range, "the address holds it");
  }
});

test("the address says the range and the points; whatever it can't mean is an hour, and nothing", () => {
  for (const { id, ms } of PRESETS) assert.deepEqual(readRange({ last: id }), { kind: "last", ms });
  for (const query of [
    {},
    { last: "9y" },
    { from: "x", to: "y" },
    { from: "2026-11-24T08:00Z", to: "2026-11-24T07:00Z" },
  ])
    assert.deepEqual(readRange(query), { kind: "last", ms: HOUR });
  assert.deepEqual(readPoints({ point: ["7", "x", "7", "-1", "1.5", "8"] }), [7, 8]);
  assert.deepEqual(readPoints({ point: "9" }), [9]);
  assert.deepEqual(readPoints({}), []);
});
