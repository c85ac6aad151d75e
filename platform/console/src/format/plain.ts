/** A number as somebody entered it, or as an axis has it: no digits that say nothing. */
export function formatPlain(value: number): string {
  if (!Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-6 || size >= 1e12)) return value.toExponential(3).replace("-", "−");
  const [whole = "", decimals] = String(Number(value.toPrecision(12)))
    .replace("-", "−")
    .split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+(?!\d))/g, " ");
  return decimals === undefined ? spaced : `${spaced}.${decimals}`;
}
