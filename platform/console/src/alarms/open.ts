/** All open alarms, kept current by the journal's lines of the live stream. */
import { computed, reactive, shallowRef } from "vue";

import { listAlarms } from "../api/alarms.ts";
import { sentenceOf } from "../api/http.ts";
import { type Alarm, PRIORITIES, type Priority } from "../api/types.ts";
import { type AlarmLine, onAlarmLines } from "../live/live.ts";
import { sound } from "./sound.ts";

/** More at once are not read: the banner says so, and the list of all alarms has them. */
export const MOST_OPEN = 1000;
/** A flood of lines leads to one reading of the list in this time, in ms. */
const REST_MS = 1000;
/** Lines that are committed together come within this time, in ms. */
const SOON_MS = 50;

const alarms = shallowRef<readonly Alarm[]>([]);
const status = reactive({ isRead: false, hasMore: false, failure: "" });
let timer: ReturnType<typeof setTimeout> | undefined;
let stopListening: (() => void) | null = null;
let isReading = false;
let isAskedAgain = false;
let readAt = 0;

export const openAlarms = computed(() => alarms.value);
export const openStatus = status;

export function isUnacknowledged(state: Alarm["state"]): boolean {
  return state === "unacknowledged" || state === "returned" || state === "latched_unacknowledged";
}

/** How many open alarms of each priority there are, and how many of them nobody has acknowledged. */
export const counts = computed(() => {
  const found = Object.fromEntries(PRIORITIES.map((one) => [one, { open: 0, unacknowledged: 0 }])) as Record<
    Priority,
    { open: number; unacknowledged: number }
  >;
  for (const alarm of alarms.value) {
    found[alarm.priority].open += 1;
    if (isUnacknowledged(alarm.state)) found[alarm.priority].unacknowledged += 1;
  }
  return found;
});

/** What needs a person first: unacknowledged before acknowledged, by priority, the newest first. */
export const byUrgency = computed(() => [...alarms.value].sort(compareUrgency));

export type Act = "acknowledge" | "reset";

/** Whether there is something to be done to the alarm: whatever else the server would refuse. */
export function canBe(act: Act, alarm: Alarm): boolean {
  return act === "acknowledge" ? isUnacknowledged(alarm.state) : alarm.state.startsWith("latched");
}

export function compareUrgency(a: Alarm, b: Alarm): number {
  return (
    Number(isUnacknowledged(b.state)) - Number(isUnacknowledged(a.state)) ||
    PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) ||
    b.raised_at.localeCompare(a.raised_at) ||
    b.id - a.id
  );
}

/** The open alarms of an asset, the most urgent first. */
export const openByAsset = computed(() => {
  const found = new Map<string, Alarm[]>();
  for (const alarm of byUrgency.value) {
    if (alarm.asset === null) continue;
    const list = found.get(alarm.asset.key) ?? [];
    list.push(alarm);
    found.set(alarm.asset.key, list);
  }
  return found;
});

export function startAlarms(): void {
  stopAlarms();
  stopListening = onAlarmLines(hear);
  void readOpen();
}

export function stopAlarms(): void {
  stopListening?.();
  stopListening = null;
  clearTimeout(timer);
  timer = undefined;
  alarms.value = [];
  Object.assign(status, { isRead: false, hasMore: false, failure: "" });
}

/** Read the list now: after an act, or when a person asks for it. */
export async function readOpen(): Promise<void> {
  if (isReading) {
    isAskedAgain = true;
    return;
  }
  isReading = true;
  try {
    const page = await listAlarms({ open: true }, null, MOST_OPEN);
    if (stopListening === null) return;
    alarms.value = page.items;
    Object.assign(status, { isRead: true, hasMore: page.next !== null, failure: "" });
    sound.keepOnly(page.items.filter((alarm) => alarm.priority === "critical" && isUnacknowledged(alarm.state)));
  } catch (error) {
    status.failure = sentenceOf(error);
  } finally {
    isReading = false;
    if (isAskedAgain) {
      isAskedAgain = false;
      readSoon();
    }
  }
}

function hear(lines: AlarmLine[], missed: boolean): void {
  for (const line of lines) {
    if (line.kind === "raised" && line.priority === "critical" && line.state === "unacknowledged")
      sound.ring(line.alarm);
  }
  if (lines.length > 0 || missed) readSoon();
}

/** The first call reads soon; those within REST_MS of it lead to one more reading at its end. */
function readSoon(): void {
  if (timer !== undefined) return;
  const wait = Math.max(SOON_MS, readAt + REST_MS - Date.now());
  timer = setTimeout(() => {
    timer = undefined;
    readAt = Date.now();
    void readOpen();
  }, wait);
}
