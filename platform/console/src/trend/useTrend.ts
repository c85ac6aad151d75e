/** The data of a trend: history of the points over the range, read again when either changes, live readings after it. */
import { computed, onScopeDispose, ref, type Ref, shallowRef, watch } from "vue";

import { type Limit, readHistory, readLimits } from "../api/history.ts";
import { sentenceOf } from "../api/http.ts";
import type { Point } from "../api/types.ts";
import { now } from "../live/clock.ts";
import { reading } from "../live/live.ts";
import { append, type Gap, gapOf, type Line, lineOf } from "./lines.ts";
import { type Range, type Span, spanOf } from "./range.ts";

export interface Trend {
  /** What the chart shows now: while the right edge is now it moves on. */
  span: Readonly<Ref<Span>>;
  lines: Readonly<Ref<readonly Line[]>>;
  limits: Readonly<Ref<readonly Limit[]>>;
  /** What is known to be missing of the points' gateways within the span. */
  gaps: Readonly<Ref<readonly Gap[]>>;
  grain: Readonly<Ref<{ grain: string; bucketMs: number | null } | null>>;
  isLoading: Readonly<Ref<boolean>>;
  failure: Readonly<Ref<string>>;
  /** Rows a point that were asked for last. */
  rows: Readonly<Ref<number>>;
  reload(): Promise<void>;
}

const SETTLE_MS = 200;
const REREAD_MS = 60_000;

/** `width` is the chart's in pixels: more rows than that can't be seen. */
export function useTrend(
  points: Readonly<Ref<readonly Point[]>>,
  range: Readonly<Ref<Range>>,
  width: Readonly<Ref<number>>,
): Trend {
  const lines = shallowRef<readonly Line[]>([]);
  const limits = shallowRef<readonly Limit[]>([]);
  const gaps = shallowRef<readonly Gap[]>([]);
  const grain = shallowRef<{ grain: string; bucketMs: number | null } | null>(null);
  const isLoading = ref(false);
  const failure = ref("");
  const edge = ref(now.value);
  const rows = computed(() => Math.max(200, Math.round(width.value)));
  const ids = computed(() => points.value.map((point) => point.id));
  let readAt = 0;
  let running: AbortController | null = null;
  let settle: ReturnType<typeof setTimeout> | undefined;

  const span = computed(() => spanOf(range.value, edge.value));

  async function reload(): Promise<void> {
    running?.abort();
    clearTimeout(settle);
    readAt = now.value;
    edge.value = now.value;
    if (ids.value.length === 0) {
      lines.value = [];
      gaps.value = [];
      isLoading.value = false;
      failure.value = "";
      return;
    }
    const mine = (running = new AbortController());
    isLoading.value = true;
    try {
      const { start, end } = span.value;
      const answer = await readHistory(ids.value, start, end, rows.value, mine.signal);
      if (mine !== running) return;
      lines.value = answer.series.map(lineOf);
      gaps.value = answer.gaps.map(gapOf);
      grain.value = { grain: answer.grain, bucketMs: answer.bucket_us === null ? null : answer.bucket_us / 1000 };
      failure.value = "";
    } catch (error) {
      if (mine === running) failure.value = sentenceOf(error);
    } finally {
      if (mine === running) isLoading.value = false;
    }
  }

  function reloadSoon(): void {
    clearTimeout(settle);
    settle = setTimeout(() => void reload(), SETTLE_MS);
  }

  async function loadLimits(wanted: readonly number[]): Promise<void> {
    const found = await Promise.allSettled(wanted.map(readLimits));
    if (wanted !== ids.value) return;
    // Without them the trend is still right.
    limits.value = found.flatMap((one) => (one.status === "fulfilled" ? one.value : []));
  }

  watch(
    ids,
    (wanted, before) => {
      if (before !== undefined && wanted.join() === before.join()) return;
      lines.value = lines.value.filter((line) => wanted.includes(line.point));
      void reload();
      void loadLimits(wanted);
    },
    { immediate: true },
  );
  watch(range, reloadSoon);
  // A chart that has grown much shows more.
  watch(rows, (after, before) => {
    if (after > before * 1.3) reloadSoon();
  });

  /** A step of the right edge: what one pixel shows, at least a second. */
  const stepMs = computed(() =>
    range.value.kind === "last" ? Math.max(1000, range.value.ms / Math.max(1, width.value)) : Infinity,
  );
  watch(now, (time) => {
    if (range.value.kind !== "last" || document.hidden) return;
    if (time - readAt > Math.max(REREAD_MS, stepMs.value * 20) && !isLoading.value) void reload();
    if (time - edge.value < stepMs.value) return;
    edge.value = time;
    let hasNews = false;
    for (const point of points.value) {
      const line = lines.value.find((one) => one.point === point.id);
      const last = reading(point.id);
      if (line && last && append(line, last, point.max_age_ms + stepMs.value)) hasNews = true;
    }
    if (hasNews) lines.value = [...lines.value];
  });

  onScopeDispose(() => {
    running?.abort();
    running = null;
    clearTimeout(settle);
  });

  return { span, lines, limits, gaps, grain, isLoading, failure, rows, reload };
}
