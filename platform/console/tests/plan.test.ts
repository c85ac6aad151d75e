import assert from "node:assert/strict";
import { test } from "node:test";

import type { Place } from "../src/api/types.ts";
import { type Label, placeLabels, shorten, textWidth } from "../src/plan/labels.ts";
import { fitView, frameOf, toScreen, zoomAt } from "../src/plan/project.ts";

const CORNERS: Place[] = [
  [106.4, 37.9],
  [106.42, 37.91],
];

test("north is up, east is right, and all places are on the screen", () => {
  const frame = frameOf(CORNERS);
  assert.ok(frame);
  const view = fitView(frame, 1000, 600, 40);
  const [southWest, northEast] = CORNERS.map((place) => toScreen(frame, view, 1000, 600, place));
  assert.ok(southWest && northEast);
  assert.ok(southWest.x < northEast.x && southWest.y > northEast.y);
  for (const { x, y } of [southWest, northEast]) assert.ok(x >= 39.9 && x <= 960.1 && y >= 39.9 && y <= 560.1);
  // A metre is as long eastwards as northwards: 0.02° east at 38° is 1755 m, 0.01° north 1113 m.
  assert.ok(Math.abs((northEast.x - southWest.x) / (southWest.y - northEast.y) - 1755 / 1113) < 0.01);
});

test("one place, or none, makes no endless zoom", () => {
  assert.equal(frameOf([]), null);
  const frame = frameOf([[106.4, 37.9]]);
  assert.ok(frame && Number.isFinite(fitView(frame, 800, 600, 40).pixelsPerMetre));
});

test("what is under the pointer stays there", () => {
  const frame = frameOf(CORNERS);
  assert.ok(frame);
  const view = fitView(frame, 1000, 600, 40);
  const place: Place = [106.403, 37.908];
  const spot = toScreen(frame, view, 1000, 600, place);
  const closer = toScreen(frame, zoomAt(view, 1000, 600, spot, 3, [0, 1000]), 1000, 600, place);
  assert.ok(Math.hypot(closer.x - spot.x, closer.y - spot.y) < 1e-6);
});

const label = (id: string, x: number, y: number, rank = 0, moves = false): Label => {
  return { id, x, y, widths: [80], height: 28, rank, moves, hasSign: false };
};

test("labels cover neither each other nor a mark, and stay on the screen", () => {
  let state = 7;
  const random = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  const labels = Array.from({ length: 60 }, (_, index) =>
    label(String(index), random() * 900, random() * 600, index % 5),
  );
  const placed = placeLabels(labels, 900, 600);
  const boxes = [...placed].map(([id, { x, y }]) => ({ id, x, y }));
  assert.ok(boxes.length > 15);
  for (const box of boxes) {
    assert.ok(box.x >= 0 && box.y >= 0 && box.x + 80 <= 900 && box.y + 28 <= 600);
    for (const other of boxes) {
      const apart = box.x + 80 <= other.x || other.x + 80 <= box.x || box.y + 28 <= other.y || other.y + 28 <= box.y;
      assert.ok(box.id === other.id || apart, `${box.id} ${other.id}`);
    }
    for (const { x, y } of labels) assert.ok(x < box.x - 8 || x > box.x + 88 || y < box.y - 8 || y > box.y + 36);
  }
});

test("where there is room for one, the important one has it", () => {
  const crowd = [label("meter", 60, 20, 5), label("tank", 60, 24, 0), label("truck", 60, 22, 0, true)];
  assert.deepEqual([...placeLabels(crowd, 155, 45).keys()], ["tank"]);
});

test("long names lose their middle, Chinese ones by their width", () => {
  assert.equal(shorten("Tank 2", 11, 150), "Tank 2");
  for (const [name, tail] of [
    ["北原铁合金一号矿热炉电表及其附属设备", "附属设备"],
    ["Hengyuan Chemical Works, reclaimed water meter", "meter"],
  ] as const) {
    const cut = shorten(name, 11, 120);
    assert.ok(cut.includes("…") && cut.endsWith(tail) && textWidth(cut, 11) <= 120, cut);
  }
});

test("a label leaves the sign of an alarm and what is kept free alone", () => {
  const alarmed = { ...label("tank", 100, 60), hasSign: true };
  const free = placeLabels([alarmed], 400, 120).get("tank");
  assert.ok(free && free.x >= 122, JSON.stringify(free));
  const kept = [{ left: 0, top: 70, right: 400, bottom: 120 }];
  const left = placeLabels([alarmed], 400, 120, kept).get("tank");
  assert.ok(left && left.y + 28 <= 39, JSON.stringify(left));
});

test("where the whole label finds no room, a shorter one is tried", () => {
  const long = { ...label("tank", 60, 20), widths: [300, 80] };
  const placed = placeLabels([long], 155, 45).get("tank");
  assert.deepEqual(placed && [placed.cut, placed.width, placed.anchor], [1, 80, "start"]);
});
