// @ts-check
// Says what the browser loads before the first page shows, in kB gzip, and fails when it is more than the budget.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET_KB = 350;
const web = join(import.meta.dirname, "../../park_platform/web");

/** @typedef {{file: string, css?: string[], imports?: string[], isEntry?: boolean}} Chunk */

/** @type {Record<string, Chunk>} */
const manifest = JSON.parse(readFileSync(join(web, ".vite/manifest.json"), "utf8"));

/**
 * The files that load with a chunk: itself, its style sheets, and what it imports at once.
 * @param {string} name
 * @param {Set<string>} found
 * @returns {Set<string>}
 */
function filesOf(name, found) {
  const chunk = manifest[name];
  if (chunk === undefined || found.has(chunk.file)) return found;
  found.add(chunk.file);
  for (const sheet of chunk.css ?? []) found.add(sheet);
  for (const other of chunk.imports ?? []) filesOf(other, found);
  return found;
}

/** @param {string} file */
function gzipped(file) {
  return gzipSync(readFileSync(join(web, file)), { level: 9 }).length / 1000;
}

const entry = Object.keys(manifest).find((name) => manifest[name]?.isEntry);
if (entry === undefined) throw new Error("the build has no entry");
// The overview is the page that opens.
const first = filesOf("src/views/Overview.vue", filesOf(entry, new Set(["index.html"])));
const total = [...first].reduce((sum, file) => sum + gzipped(file), 0);
console.log(`first load: ${total.toFixed(0)} kB gzip in ${first.size} files (budget ${BUDGET_KB} kB)`);
if (total > BUDGET_KB) {
  console.error(`first load is over its budget: import less in src/main.ts, or load it with the view that needs it`);
  process.exit(1);
}
