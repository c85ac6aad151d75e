import assert from "node:assert/strict";
import { test } from "node:test";

import { en } from "../src/i18n/en.ts";
import { fill } from "../src/i18n/index.ts";
import { zh } from "../src/i18n/zh.ts";

function leaves(texts: object, path = ""): [string, string][] {
  return Object.entries(texts).flatMap(([key, value]): [string, string][] =>
    typeof value === "string" ? [[path + key, value]] : leaves(value as object, `${path}${key}.`),
  );
}
const chinese = new Map(leaves(zh));
const english = new Map(leaves(en));

test("both languages have the same keys", () => {
  assert.deepEqual([...english.keys()].sort(), [...chinese.keys()].sort());
});

test("no text is empty, and each fills the same places in both languages", () => {
  const places = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "").sort();
  for (const [key, text] of chinese) {
    assert.ok(text.trim() && english.get(key)?.trim(), key);
    assert.deepEqual(places(text), places(english.get(key) ?? ""), key);
  }
});

test("each language is written in its own script", () => {
  // Names of the product, of a language, and what people type are the same in both.
  const shared = /^(brand|languageName|signIn\.placeholder)$/;
  for (const [key, text] of english) if (!shared.test(key)) assert.doesNotMatch(text, /[\u4e00-\u9fff]/, key);
  for (const [key, text] of chinese) if (!shared.test(key)) assert.match(text, /[\u4e00-\u9fff]/, key);
});

test("what is not given stays visible", () => {
  assert.equal(fill("{a} of {b}", { a: 1 }), "1 of {b}");
});
