/** A small sign for each kind of asset, drawn in a square of 16 around its middle; a plain dot for a kind without one. */
const METER = "M-6-6H6V6H-6z";
const GLYPHS: Readonly<Record<string, string>> = {
  "electricity-meter": `${METER}M1-4-2.5.5H.5L-1 4`,
  "water-meter": `${METER}M0-4C2.5-1 3 .3 3 1.3a3 3 0 0 1-6 0C-3 .3-2.5-1 0-4z`,
  "reclaimed-water-meter": `${METER}M0-4C2.5-1 3 .3 3 1.3a3 3 0 0 1-6 0C-3 .3-2.5-1 0-4zM-3 1H3`,
  "gas-meter": `${METER}M0-4c3 3 3 4.5 3 5.3a3 3 0 0 1-6 0c0-1.3 1-1.8 1.5-2.8C0-1 0-2.5 0-4z`,
  "steam-meter": `${METER}M-3-4c2 2-1 3 0 4.5s0 2 0 3M1-4c2 2-1 3 0 4.5s0 2 0 3`,
  "sphere-tank": "M0-6.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13zM-6.5 0H6.5",
  "pressure-vessel": "M-4-3.5a4 3 0 0 1 8 0V3.5a4 3 0 0 1-8 0z",
  "storage-tank": "M-5-5H5V5H-5zM-5-2H5",
  reactor: "M-4-5H4V2a4 4 0 0 1-8 0zM0-7V2M-2.5 2H2.5",
  "boiler-drum": "M-7-3H7a3 3 0 0 1 0 6H-7a3 3 0 0 1 0-6z",
  stack: "M-3 7-1.5-7H1.5L3 7z",
  pipeline: "M-7-2.5H7V2.5H-7zM-4-4V4M4-4V4",
  "sluice-gate": "M-6-6V6M6-6V6M-6 0H6M-6-3H6",
  outfall: "M-7-3H-1V3H-7M1 0c1.5-2 2.5 2 4 0s2 1 2.5 0",
  "air-station": "M-6 2H3a2.5 2.5 0 1 0-2.5-2.5M-6-2H1M-6 5H5",
  "gas-detector": "M0-6.5 6.5 5.5H-6.5zM0-2V2M0 3.800V4",
  weighbridge: "M-7 2H7M-5 2V5M5 2V5M-4-4H4L5 2H-5z",
  gate: "M-6 6V-5M-6-3 7-1V1L-6-1",
  truck: "M-7-4H2V3H-7zM2-1H5L7 1V3H2zM-4 4.5v.1M4 4.5v.1",
  "waste-store": "M-6 6V-1L0-6 6-1V6zM-2.5 0l5 5M2.5 0l-5 5",
};
const DOT = "M0-4a4 4 0 1 1 0 8a4 4 0 1 1 0-8z";

export function glyphOf(kind: string): string {
  return Object.hasOwn(GLYPHS, kind) ? (GLYPHS[kind] ?? DOT) : DOT;
}
