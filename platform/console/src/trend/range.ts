/** What stretch of time a trend shows, and how it stands in the address. Times in ms since 1970 UTC. */

export interface Span {
  start: number;
  end: number;
}
/** last: up to now, and going on; fixed: as it was. */
export type Range = { kind: "last"; ms: number } | ({ kind: "fixed" } & Span);

const HOUR = 3_600_000;
export const PRESETS: readonly { id: string; ms: number }[] = [
  { id: "15min", ms: HOUR / 4 },
  { id: "1h", ms: HOUR },
  { id: "8h", ms: 8 * HOUR },
  { id: "24h", ms: 24 * HOUR },
  { id: "7d", ms: 168 * HOUR },
  { id: "30d", ms: 720 * HOUR },
];
const NARROWEST = 10_000;
const WIDEST = 400 * 24 * HOUR;
/** The server's clock may be that much ahead. */
const AHEAD = 60_000;

type Asked = Readonly<Record<string, unknown>>;

/** ?last=8h, or ?from=…&to=…; one hour where neither can be read. */
export function readRange(query: Asked): Range {
  const [from, to] = [Date.parse(String(query["from"])), Date.parse(String(query["to"]))];
  if (to - from >= NARROWEST && to - from <= WIDEST) return { kind: "fixed", start: from, end: to };
  const preset = PRESETS.find((one) => one.id === query["last"]);
  return { kind: "last", ms: preset?.ms ?? HOUR };
}

export function writeRange(range: Range): Record<string, string> {
  if (range.kind === "fixed")
    return { from: new Date(range.start).toISOString(), to: new Date(range.end).toISOString() };
  return { last: PRESETS.find((one) => one.ms === range.ms)?.id ?? "1h" };
}

export function spanOf(range: Range, now: number): Span {
  return range.kind === "fixed" ? range : { start: now - range.ms, end: now };
}

/** The ids of `?point=1&point=2`, each once. */
export function readPoints(query: Asked): number[] {
  const given = query["point"];
  const ids = (Array.isArray(given) ? given : [given]).map(Number).filter((id) => Number.isInteger(id) && id > 0);
  return [...new Set(ids)];
}

/** Closer (factor < 1) or wider around `at`, which stays where it is. */
export function zoomed(span: Span, factor: number, at: number, now: number): Span {
  const width = span.end - span.start;
  const next = Math.min(WIDEST, Math.max(NARROWEST, width * factor));
  const share = Math.min(1, Math.max(0, (at - span.start) / width));
  const start = at - next * share;
  return within({ start, end: start + next }, now);
}

export function panned(span: Span, by: number, now: number): Span {
  return within({ start: span.start + by, end: span.end + by }, now);
}

/** One edge at another time; the other one gives way where it must. */
export function edged(span: Span, edge: keyof Span, at: number, now: number): Span {
  const width = span.end - span.start;
  const next = { ...span, [edge]: at };
  const fits = next.end - next.start >= NARROWEST && next.end - next.start <= WIDEST;
  const kept = edge === "start" ? { start: at, end: at + width } : { start: at - width, end: at };
  return within(fits ? next : kept, now);
}

/** A stretch that was drawn with the mouse; null when it is too short to mean anything. */
export function dragged(a: number, b: number, now: number): Span | null {
  const [start, end] = [Math.min(a, b), Math.max(a, b)];
  if (end - start < 1000) return null;
  return zoomed({ start, end }, 1, start, now);
}

/** Nothing is known of the future. */
function within({ start, end }: Span, now: number): Span {
  const over = Math.max(0, end - now - AHEAD);
  return { start: Math.round(start - over), end: Math.round(end - over) };
}
