/** What a DataTable shows of a row. */

/** What a cell holds; numbers and times sort as such, and are exported unformatted. */
export type CellValue = string | number | null | undefined;

export interface Column<Row> {
  id: string;
  title: string;
  /** For sorting, filtering and export; also what is shown, unless `text` or a slot named `cell-<id>` says better. */
  value: (row: Row) => CellValue;
  /** What is shown instead of the value. */
  text?: (row: Row) => string;
  /** Numbers stand at the right. */
  isNumber?: boolean;
  /** Takes what room is left, and breaks lines. */
  isWide?: boolean;
  /** false: the value means nothing as an order. */
  isSortable?: boolean;
}

export interface Order {
  column: string;
  isDescending: boolean;
}

export function textOf<Row>(column: Column<Row>, row: Row): string {
  return column.text ? column.text(row) : String(column.value(row) ?? "—");
}

export function sorted<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  order: Order | null,
): readonly Row[] {
  const column = columns.find((one) => one.id === order?.column);
  if (order === null || column === undefined) return rows;
  const sign = order.isDescending ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare(column.value(a), column.value(b)));
}

/** Rows in which every word of the text occurs somewhere. */
export function matching<Row>(rows: readonly Row[], columns: readonly Column<Row>[], text: string): readonly Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => {
    const whole = columns
      .map((column) => `${textOf(column, row)} ${column.value(row) ?? ""}`)
      .join(" ")
      .toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

/** Missing values come last in rising order. */
function compare(a: CellValue, b: CellValue): number {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1;
  if (b === null || b === undefined) return -1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "zh-CN", { numeric: true });
}
