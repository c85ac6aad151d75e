import { shallowRef } from "vue";

import { get } from "./http.ts";
import type { Latest, Page, Point } from "./types.ts";

const PAGE = 1000;
/** Parks with more points show those that come first by id; a search asks the API instead. */
const MOST_PAGES = 20;

export type PointFilter = {
  asset?: string;
  quantity?: string;
  enterprise?: string;
  text?: string;
};

export function listPoints(filter: PointFilter, cursor: string | null = null, limit = 100): Promise<Page<Point>> {
  return get("/points", { ...filter, cursor, limit });
}

/** Every point that the person may see, by id. Filled by `loadPoints`. */
export const points = shallowRef<ReadonlyMap<number, Point>>(new Map());

let loading: Promise<void> | null = null;

/** Read all points, once; a failed read may be tried again. Throws Problem. */
export function loadPoints(anew = false): Promise<void> {
  if (loading === null || anew) {
    loading = readAll().catch((error: unknown) => {
      loading = null;
      throw error;
    });
  }
  return loading;
}

export function forgetPoints(): void {
  loading = null;
  points.value = new Map();
}

async function readAll(): Promise<void> {
  const found = new Map<number, Point>();
  await eachPage(
    (cursor) => listPoints({}, cursor, PAGE),
    (point) => found.set(point.id, point),
  );
  points.value = found;
}

/** The last reading of every point, for when there is no live stream. */
export async function readLatest(): Promise<Latest[]> {
  const found: Latest[] = [];
  await eachPage(
    (cursor) => get<Page<Latest>>("/latest", { cursor, limit: PAGE }),
    (one) => found.push(one),
  );
  return found;
}

async function eachPage<Item>(
  read: (cursor: string | null) => Promise<Page<Item>>,
  take: (item: Item) => void,
): Promise<void> {
  let cursor: string | null = null;
  for (let page = 0; page < MOST_PAGES; page++) {
    const answer: Page<Item> = await read(cursor);
    answer.items.forEach(take);
    cursor = answer.next;
    if (cursor === null) return;
  }
}
