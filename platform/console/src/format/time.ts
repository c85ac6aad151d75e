/** Times in the park's time zone, whatever the machine's is. */
import { park } from "../api/park.ts";

type Stamp = number | string | null | undefined;

const NO_TIME = "—";
const made = new Map<string, Intl.DateTimeFormat>();

function parts(moment: Date): Record<string, string> {
  const zone = park.value?.time_zone ?? "Asia/Shanghai";
  let format = made.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    made.set(zone, format);
  }
  return Object.fromEntries(format.formatToParts(moment).map((part) => [part.type, part.value]));
}

function dateOf(stamp: Stamp): Date | null {
  if (stamp === null || stamp === undefined) return null;
  const moment = new Date(stamp);
  return Number.isNaN(moment.getTime()) ? null : moment;
}

/** 2026-11-23 10:00:00 */
export function formatTime(stamp: Stamp): string {
  const moment = dateOf(stamp);
  if (moment === null) return NO_TIME;
  const p = parts(moment);
  return `${p["year"]}-${p["month"]}-${p["day"]} ${p["hour"]}:${p["minute"]}:${p["second"]}`;
}

/** 10:00:00, for what is of today; else with its day: 11-23 10:00:00. */
export function formatRecent(stamp: Stamp, now: number): string {
  const moment = dateOf(stamp);
  if (moment === null) return NO_TIME;
  const text = formatTime(moment.getTime());
  return text.slice(0, 10) === formatTime(now).slice(0, 10) ? text.slice(11) : text.slice(5);
}

/** A span of ms as its largest whole unit; the letters are the same in both languages. */
export function formatSpan(span: number | null | undefined): string {
  if (span === null || span === undefined) return NO_TIME;
  const seconds = Math.max(0, Math.floor(span / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
