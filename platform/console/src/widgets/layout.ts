/** How wide the widgets of a page are: small ones stand in pairs, one that is left alone takes the whole line. */
const HALF = new Set(["trend", "gauges", "bars"]);

export function widthsOf(kinds: readonly string[]): ("half" | "whole")[] {
  const widths: ("half" | "whole")[] = [];
  for (let at = 0; at < kinds.length; at++) {
    if (HALF.has(kinds[at] ?? "") && HALF.has(kinds[at + 1] ?? "")) {
      widths.push("half", "half");
      at += 1;
    } else widths.push("whole");
  }
  return widths;
}
