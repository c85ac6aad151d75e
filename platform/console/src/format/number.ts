/** Numbers for people: four significant digits, never an exponent where it can be avoided, a true minus sign. */

const NO_VALUE = "—";

/** A measured value with at most so many decimals; NaN and null are shown as a dash. */
export function formatValue(value: number | null | undefined, mostDecimals = 6): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NO_VALUE;
  const size = Math.abs(value);
  const isTiny = size !== 0 && size < 1e-4 && mostDecimals >= 6;
  if (isTiny || size >= 1e12) return value.toExponential(3).replace("-", "−");
  const decimals = size === 0 ? 0 : Math.min(mostDecimals, Math.max(0, 3 - Math.floor(Math.log10(size))));
  return grouped(value.toFixed(decimals));
}

/** A point's value: digits below a millionth of its range, but the first decimal, are noise. */
export function formatReading(value: number | null | undefined, point: { low: number; high: number }): string {
  const range = Math.max(Math.abs(point.low), Math.abs(point.high));
  if (Number.isInteger(value)) return formatFixed(value, 0);
  if (!Number.isFinite(range) || range <= 0) return formatValue(value);
  const decimals = Math.min(6, Math.max(1, 6 - Math.ceil(Math.log10(range))));
  const size = Math.abs(value ?? 0);
  // Below one the leading zero takes the place of a digit: 0.700 stands under 1.234.
  return formatValue(value, size > 0 && size < 1 ? Math.min(decimals, 2 - Math.floor(Math.log10(size))) : decimals);
}

/** A value with exactly that many decimals. */
export function formatFixed(value: number | null | undefined, decimals: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NO_VALUE;
  return grouped(value.toFixed(decimals));
}

export function formatCount(count: number | null | undefined): string {
  return formatFixed(count, 0);
}

export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return NO_VALUE;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${formatValue(unit === 0 ? size : Number(size.toPrecision(3)))} ${units[unit]}`;
}

/** Units as people write them: m3/h -> m³/h. The dimensionless unit "1" and "state" are not shown. */
export function formatUnit(unit: string): string {
  if (unit === "1" || unit === "state") return "";
  if (unit === "deg") return "°";
  return unit
    .replace(/m3\b/g, "m³")
    .replace(/m2\b/g, "m²")
    .replace(/CO2\b/g, "CO₂")
    .replace(/^u(?=[A-Za-z])/, "µ");
}

function grouped(digits: string): string {
  const [whole = "", decimals] = digits.replace("-", "−").split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, " ");
  return decimals === undefined ? spaced : `${spaced}.${decimals}`;
}
