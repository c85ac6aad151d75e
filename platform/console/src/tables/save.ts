/** Files for the person: CSV as the API writes it (UTF-8 with BOM, text that a spreadsheet would compute made plain). */
import type { CellValue, Column } from "./columns.ts";

export function csvOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const lines = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => column.value(row))),
  ];
  return lines.map((cells) => cells.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function csvCell(value: CellValue): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "";
  const plain = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** Hand a text to the browser as a download. */
export function saveText(name: string, text: string, media = "text/csv;charset=utf-8"): void {
  const url = URL.createObjectURL(new Blob(["\uFEFF", text], { type: media }));
  saveLink(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Let the browser download an address of ours. */
export function saveLink(url: string, name = ""): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

/** alarms-2026-11-23-1000.csv, from the time in the park's zone. */
export function fileName(what: string, time: string, ending = "csv"): string {
  return `${what}-${time.slice(0, 16).replace(" ", "-").replace(":", "")}.${ending}`;
}
