import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import type { Message } from "../src/live/messages.ts";
import { LiveStream, SILENT_MS, type Socket } from "../src/live/stream.ts";
import { column, encode } from "./encode.ts";

class Wire implements Socket {
  binaryType: BinaryType = "blob";
  onopen = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  isClosed = false;
  close(): void {
    this.isClosed = true;
  }
  say(seq: number, kind = "heartbeat", more: object = {}): void {
    this.onmessage?.({ data: encode({ v: 1, kind, seq, server_time_us: 1_000_000, ...more }) });
  }
}

let wires: Wire[];
let heard: Message[];
let said: string[];
let stream: LiveStream;
const wire = (): Wire => wires.at(-1) as Wire;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [wires, heard, said] = [[], [], []];
  const open = (): Socket => {
    wires.push(new Wire());
    return wire();
  };
  stream = new LiveStream(open, {
    onMessage: (message) => heard.push(message),
    onLost: () => said.push("lost"),
    onSessionEnded: () => said.push("ended"),
  });
  stream.start();
});

test("messages in sequence are passed on, with their columns read", () => {
  wire().say(1, "snapshot", {
    point: column(78, Int32Array.of(7)),
    time_us: column(79, BigInt64Array.of(1_500_000n)),
    value: column(86, Float64Array.of(0.5)),
    quality: column(78, Int32Array.of(64)),
    more: false,
  });
  wire().say(2);
  assert.deepEqual(
    heard.map((message) => message.kind),
    ["snapshot", "heartbeat"],
  );
  const [snapshot] = heard;
  assert.ok(snapshot?.kind === "snapshot");
  assert.deepEqual(snapshot.readings, [[7, { time: 1500, value: 0.5, quality: 64 }]]);
  assert.equal(snapshot.serverTime, 1000);
});

test("a hole ends the connection, and the next one begins anew", () => {
  wire().say(1);
  wire().say(3);
  assert.deepEqual([heard.length, said, wire().isClosed], [1, ["lost"], true]);
  mock.timers.tick(1000);
  assert.equal(wires.length, 2);
  wire().say(1);
  assert.equal(heard.length, 2);
});

test("nonsense, text and unequal columns end the connection, too", () => {
  for (const data of [new ArrayBuffer(3), "text", encode({ v: 2, seq: 1 }), encode({ v: 1, kind: "values", seq: 1 })]) {
    said = [];
    wire().onmessage?.({ data });
    assert.deepEqual(said, ["lost"]);
    mock.timers.tick(60_000 - SILENT_MS);
  }
  assert.equal(heard.length, 0);
});

test("a kind of a later server is let pass", () => {
  wire().say(1, "weather");
  wire().say(2);
  assert.deepEqual([heard.map((message) => message.kind), said], [["unknown", "heartbeat"], []]);
});

test("silence ends the connection, and every message puts that off", () => {
  wire().say(1);
  mock.timers.tick(SILENT_MS - 1);
  wire().say(2);
  mock.timers.tick(SILENT_MS - 1);
  assert.deepEqual(said, []);
  mock.timers.tick(1);
  assert.deepEqual(said, ["lost"]);
});

test("tries become rarer, and never rarer than every 15 s", () => {
  const waits: number[] = [];
  for (let round = 0; round < 12; round++) {
    const before = wires.length;
    wire().onclose?.({ code: 1006 });
    let waited = 0;
    while (wires.length === before) {
      mock.timers.tick(50);
      waited += 50;
    }
    waits.push(waited);
  }
  assert.ok((waits[0] ?? 0) <= 500, String(waits));
  assert.ok(Math.max(...waits) <= 15_000 && (waits.at(-1) ?? 0) >= 7500, String(waits));
  wire().say(1);
  wire().onclose?.({ code: 1006 });
  const before = wires.length;
  mock.timers.tick(500);
  assert.equal(wires.length, before + 1, "a message starts the waits anew");
});

test("an ended session is not tried again", () => {
  wire().onclose?.({ code: 4401 });
  mock.timers.tick(60_000);
  assert.deepEqual([said, wires.length], [["ended"], 1]);
});

test("asked to, it tries at once, and once", () => {
  stream.retryNow();
  assert.equal(wires.length, 1, "there is a connection");
  wire().onclose?.({ code: 1006 });
  stream.retryNow();
  mock.timers.tick(1000);
  assert.equal(wires.length, 2);
});

test("stopped, it stays silent", () => {
  stream.stop();
  assert.ok(wire().isClosed);
  mock.timers.tick(60_000);
  assert.deepEqual([said, wires.length], [[], 1]);
});
