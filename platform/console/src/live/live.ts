/** The live side of the console: last readings by point, the state of the link, and whoever wants journal lines.
 *
 *     const reading = reading(481);   // reactive: the component is drawn again when this point changes, and only then
 *
 * While no live stream can be had, the latest readings are asked for every 10 s instead.
 */
import { computed, reactive, readonly, shallowReactive, watch } from "vue";

import { readLatest } from "../api/points.ts";
import { caller } from "../api/http.ts";
import { now, setServerTime } from "./clock.ts";
import type { AlarmLine, Message, Reading } from "./messages.ts";
import { LiveStream, type Socket } from "./stream.ts";

export type { AlarmLine, Reading } from "./messages.ts";

/** connecting: never live yet; live; lost: trying again; polling: lost, and values come by asking. */
export type Link = "connecting" | "live" | "lost" | "polling";

const readings = shallowReactive(new Map<number, Reading>());
const state = reactive({
  link: "connecting" as Link,
  /** When the last news came, in ms since 1970 UTC by the centre's clock; null: never. */
  heardAt: null as number | null,
  database: true,
  broker: true,
});
const lineListeners = new Set<(lines: AlarmLine[], missed: boolean) => void>();
/** Points of the parts of a snapshot that is still coming. */
let snapshot: Set<number> | null = null;
let stream: LiveStream | null = null;
let poll: ReturnType<typeof setInterval> | undefined;

const POLL_MS = 10_000;

export const live = readonly(state);

/** ms since the last news; null: none yet. */
export const silence = computed(() => (state.heardAt === null ? null : Math.max(0, now.value - state.heardAt)));

/** As of when to judge how old readings are: while they come by asking, the last answer, not its age, is in question. */
export const judgedAt = computed(() => (state.link === "polling" ? (state.heardAt ?? now.value) : now.value));

/** The last reading of a point, reactive. */
export function reading(point: number): Reading | undefined {
  return readings.get(point);
}

/** Hear the journal's lines as they are committed; returns how to stop. */
export function onAlarmLines(listener: (lines: AlarmLine[], missed: boolean) => void): () => void {
  lineListeners.add(listener);
  return () => lineListeners.delete(listener);
}

/** Do something again when the link is back, as long as the component lives: what could not be read can be now. */
export function onLinkBack(again: () => void): void {
  watch(
    () => state.link,
    (link) => {
      if (link === "live") again();
    },
  );
}

/** mayStream: whether this person is admitted to the live stream; an auditor only reads. */
export function startLive(mayStream: boolean): void {
  stopLive();
  if (!mayStream) {
    lose();
    return;
  }
  stream = new LiveStream(openSocket, { onMessage: take, onLost: lose, onSessionEnded: () => caller.onSignedOut() });
  stream.start();
  window.addEventListener("online", retryLive);
}

export function stopLive(): void {
  window.removeEventListener("online", retryLive);
  stream?.stop();
  stream = null;
  stopPolling();
  readings.clear();
  snapshot = null;
  Object.assign(state, { link: "connecting", heardAt: null, database: true, broker: true });
}

export function retryLive(): void {
  stream?.retryNow();
}

function openSocket(): Socket {
  return new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/live`) as Socket;
}

function take(message: Message): void {
  setServerTime(message.serverTime);
  stopPolling();
  state.link = "live";
  state.heardAt = message.serverTime;
  switch (message.kind) {
    case "snapshot":
      takeSnapshot(message.readings, message.more);
      break;
    case "values":
      for (const [point, reading] of message.readings) readings.set(point, reading);
      break;
    case "alarms":
      for (const listener of lineListeners) listener(message.lines, message.missed);
      break;
    case "heartbeat":
      state.database = message.database;
      state.broker = message.broker;
  }
}

function takeSnapshot(part: [number, Reading][], more: boolean): void {
  if (snapshot === null) {
    snapshot = new Set();
    // Lines may have been missed while there was no connection.
    for (const listener of lineListeners) listener([], true);
  }
  for (const [point, reading] of part) {
    snapshot.add(point);
    readings.set(point, reading);
  }
  if (more) return;
  for (const point of [...readings.keys()]) if (!snapshot.has(point)) readings.delete(point);
  snapshot = null;
}

function lose(): void {
  snapshot = null;
  if (state.link === "polling") return;
  state.link = "lost";
  if (state.heardAt === null) void askLatest();
  poll ??= setInterval(() => void askLatest(), POLL_MS);
}

async function askLatest(): Promise<void> {
  try {
    const latest = await readLatest();
    // The stream may have come back meanwhile; it knows better.
    if (poll === undefined) return;
    for (const one of latest) {
      if (one.time === null) continue;
      readings.set(one.point, { time: Date.parse(one.time), value: one.value ?? Number.NaN, quality: one.quality });
    }
    state.link = "polling";
    state.heardAt = now.value;
    for (const listener of lineListeners) listener([], true);
  } catch {
    if (poll !== undefined) state.link = "lost";
  }
}

function stopPolling(): void {
  clearInterval(poll);
  poll = undefined;
}
