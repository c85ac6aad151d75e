/** Points as a table: a row an asset, a column a quantity. */
import type { Point } from "../api/types.ts";

export interface Grid {
  columns: Point["quantity"][];
  rows: { asset: Point["asset"]; device: string; cells: Point[][] }[];
}

/** Columns in the order that is asked for, then as found. Two points of one asset and quantity share a cell. */
export function gridOf(points: readonly Point[], order: readonly string[] = []): Grid {
  const quantities = new Map(points.map((point) => [point.quantity.id, point.quantity]));
  const rank = (id: string): number => (order.includes(id) ? order.indexOf(id) : order.length);
  const columns = [...quantities.values()].sort((a, b) => rank(a.id) - rank(b.id));
  const rows = new Map<string, Grid["rows"][number]>();
  for (const point of points) {
    const key = point.asset?.key ?? `${point.stream}/${point.device}`;
    let row = rows.get(key);
    if (row === undefined) {
      row = { asset: point.asset, device: point.device, cells: columns.map(() => []) };
      rows.set(key, row);
    }
    row.cells[columns.findIndex((column) => column.id === point.quantity.id)]?.push(point);
  }
  return { columns, rows: [...rows.values()] };
}
