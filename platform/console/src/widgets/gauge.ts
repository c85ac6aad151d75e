/** A value between the ends of a gauge, and how far it is to the alarm. */
export type GaugeState = "normal" | "warn" | "alarm";

/** 0 at the low end, 1 at the high one; beyond them it stays at the end. */
export function shareOf(value: number, low: number, high: number): number {
  if (!(high > low)) return 0;
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

/** Limits above the middle of nothing: a limit is passed at it and above; with alarm below warn, at it and below. */
export function gaugeState(value: number, warn: number | null, alarm: number | null): GaugeState {
  const isLower = warn !== null && alarm !== null && alarm < warn;
  const passes = (limit: number | null): boolean => limit !== null && (isLower ? value <= limit : value >= limit);
  if (passes(alarm)) return "alarm";
  return passes(warn) ? "warn" : "normal";
}
