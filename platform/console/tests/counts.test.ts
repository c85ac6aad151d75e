import assert from "node:assert/strict";
import { test } from "node:test";

import { countsOf } from "../src/widgets/counts.ts";

const HOUR = 3_600_000;
const series = (...rows: [number, number | null][]): { time_us: number[]; value: (number | null)[] } => ({
  time_us: rows.map(([hours]) => hours * HOUR * 1000),
  value: rows.map(([, value]) => value),
});
const EDGES = [0, HOUR, 2 * HOUR];

test("a step counts from the reading before it; what is not known is not zero", () => {
  const counts = countsOf(series([0, 10], [0.5, 12], [1, 15], [1.5, null]), EDGES, null);
  assert.deepEqual(
    counts.map(({ value, isPart }) => [value, isPart]),
    [
      [5, false],
      [null, false],
    ],
  );
});

test("one reading alone tells nothing, two tell a part", () => {
  assert.deepEqual(countsOf(series([0.5, 12]), EDGES, null)[0], { start: 0, value: null, isPart: false });
  assert.deepEqual(countsOf(series([0.5, 12], [0.8, 14]), EDGES, null)[0], { start: 0, value: 2, isPart: true });
});

test("a counter that falls has begun anew", () => {
  assert.deepEqual(countsOf(series([0, 90], [0.5, 95], [0.8, 3]), EDGES, null)[0], {
    start: 0,
    value: 8,
    isPart: true,
  });
});

test("a row of a bucket is the last reading of its time", () => {
  assert.equal(countsOf(series([-0.5, 10], [0, 11], [0.5, 14]), EDGES, HOUR / 2)[0]?.value, 4);
});
