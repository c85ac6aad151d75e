import assert from "node:assert/strict";
import { test } from "node:test";

import { decode } from "../src/live/cbor.ts";
import { bytes, encode, column } from "./encode.ts";

const hex = (text: string): ArrayBuffer => bytes(Buffer.from(text, "hex"));

test("the examples of RFC 8949", () => {
  const examples: [string, unknown][] = [
    ["00", 0],
    ["17", 23],
    ["1818", 24],
    ["1903e8", 1000],
    ["1a000f4240", 1_000_000],
    ["1b000000e8d4a51000", 1_000_000_000_000],
    ["1bffffffffffffffff", 18446744073709551615n],
    ["20", -1],
    ["3903e7", -1000],
    ["f93c00", 1],
    ["f90001", 5.960464477539063e-8],
    ["f97bff", 65504],
    ["f9fc00", Number.NEGATIVE_INFINITY],
    ["fa47c35000", 100_000],
    ["fbc010666666666666", -4.1],
    ["f4", false],
    ["f5", true],
    ["f6", null],
    ["6449455446", "IETF"],
    ["63e6b0b4", "水"],
    ["83010203", [1, 2, 3]],
    ["a26161016162820203", { a: 1, b: [2, 3] }],
  ];
  for (const [text, value] of examples) assert.deepEqual(decode(hex(text)), value, text);
  assert.ok(Number.isNaN(decode(hex("f97e00"))));
});

test("columns come back as they went, wherever in the message they start", () => {
  const points = Int32Array.of(1, -2, 2 ** 31 - 1);
  const times = BigInt64Array.of(0n, 1795471929773592n, -1n);
  const values = Float64Array.of(1.5, Number.NaN, -0);
  for (const padding of ["", "x", "xy", "xyz"]) {
    const message = encode({
      padding,
      points: column(78, points),
      times: column(79, times),
      values: column(86, values),
    });
    assert.deepEqual(decode(message), { padding, points, times, values });
  }
});

test("what is cut, goes on, or is of another kind is refused", () => {
  const whole = encode({ kind: "values", list: [1, 2], column: column(78, Int32Array.of(1)) });
  for (let length = 0; length < whole.byteLength; length++) {
    assert.throws(
      () => decode(whole.slice(0, length)),
      (error) => error instanceof RangeError || error instanceof SyntaxError,
    );
  }
  for (const text of ["0000", "c100", "d84e43000000", "a10102", "1c", "ff", "61ff", "81".repeat(40) + "00"]) {
    assert.throws(() => decode(hex(text)), text);
  }
});

test("a key called __proto__ is a key", () => {
  const map = decode(encode({ ["__proto__"]: { polluted: true } })) as object;
  assert.deepEqual(Object.keys(map), ["__proto__"]);
  assert.equal((map as { polluted?: boolean }).polluted, undefined);
});
