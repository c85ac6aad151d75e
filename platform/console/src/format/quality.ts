/** A reading's quality as the screen tells it. The code: platform/park_wire/quality.py. */

/** stale: good once, and too old to count; none: no reading yet, or none that can have a value. */
export type Trust = "good" | "uncertain" | "bad" | "stale" | "none";

const WAITING = 0x89;
const LATE = 1 << 12;
const ESTIMATED = 1 << 13;

/** The names of the codes of park_wire; the texts are in i18n under `quality.code`. */
export const QUALITY_NAMES: Readonly<Record<number, string>> = {
  0x00: "good",
  0x40: "uncertain",
  0x41: "uncertain_last_usable",
  0x42: "uncertain_sensor_not_accurate",
  0x43: "uncertain_range_exceeded",
  0x44: "uncertain_sub_normal",
  0x45: "uncertain_clock",
  0x80: "bad",
  0x81: "bad_configuration",
  0x82: "bad_not_connected",
  0x83: "bad_device_failure",
  0x84: "bad_sensor_failure",
  0x85: "bad_no_answer",
  0x86: "bad_out_of_service",
  0x87: "bad_refused",
  0x88: "bad_nonsense",
  0x89: "bad_waiting",
};

export function severityOf(quality: number): "good" | "uncertain" | "bad" {
  if (quality & 0x80) return "bad";
  return quality & 0x40 ? "uncertain" : "good";
}

/** The name of a code; one that we don't know is called like its severity. */
export function qualityName(quality: number): string {
  return QUALITY_NAMES[quality & 0xff] ?? severityOf(quality);
}

export function isLate(quality: number): boolean {
  return (quality & LATE) !== 0;
}

export function isEstimated(quality: number): boolean {
  return (quality & ESTIMATED) !== 0;
}

/** How far a reading may be trusted at `now`; `maxAge` and times in ms. */
export function trustOf(reading: { time: number; quality: number } | undefined, maxAge: number, now: number): Trust {
  // What can't have a value yet is no fault.
  if (reading === undefined || (reading.quality & 0xff) === WAITING) return "none";
  const severity = severityOf(reading.quality);
  // The stream brings values twice a second, and clocks differ by a little.
  if (severity === "good" && now - reading.time > maxAge + 2000) return "stale";
  return severity;
}
