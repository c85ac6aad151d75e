/** Dates, months and times as people type them, to the form that an input of the browser holds. Pure. */

export type WallKind = "date" | "month" | "datetime";

/** What is to be typed, the same in every language: the browser's own fields follow its language, not the page's. */
export const WALL_FORMS: Readonly<Record<WallKind, string>> = {
  date: "YYYY-MM-DD",
  month: "YYYY-MM",
  datetime: "YYYY-MM-DD hh:mm",
};

const TYPED = /^(\d{4})[-/.年](\d{1,2})(?:月?$|[-/.月](\d{1,2})日?(?:[T\s]+(\d{1,2})[:：](\d{2})(?:[:：](\d{2}))?)?$)/;

/** "2026-11-24T16:08" for 2026/11/24 16:08; "" for nothing; null for what is no such date. */
export function wallTyped(text: string, kind: WallKind): string | null {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const found = TYPED.exec(trimmed);
  if (found === null) return null;
  const [, year = "", month = "", day, hour, minute, second] = found;
  const two = (part: string): string => part.padStart(2, "0");
  if (kind === "month") return day === undefined ? (real(`${year}-${two(month)}-01`)?.slice(0, 7) ?? null) : null;
  if (day === undefined || (kind === "date" && hour !== undefined)) return null;
  const date = real(`${year}-${two(month)}-${two(day)}`);
  if (date === null || kind === "date") return date;
  if (Number(hour ?? 0) > 23 || Number(minute ?? 0) > 59 || Number(second ?? 0) > 59) return null;
  const clock = `${two(hour ?? "0")}:${minute ?? "00"}`;
  return `${date}T${clock}${second === undefined ? "" : `:${second}`}`;
}

/** How it stands in the field. */
export function wallShown(wall: string): string {
  return wall.replace("T", " ");
}

function real(date: string): string | null {
  const moment = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(date) ? date : null;
}
