/** CSV of registers: reading it (RFC 4180), and what a file would change. */

/** Rows of cells; a cell may hold line breaks between quotes. The BOM is no text. */
export function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  const endRow = (): void => {
    row.push(cell);
    if (row.length > 1 || cell !== "") rows.push(row);
    [row, cell] = [[], ""];
  };
  const whole = text.replace(/^\uFEFF/, "");
  for (let at = 0; at < whole.length; at++) {
    const sign = whole[at] ?? "";
    if (isQuoted) {
      if (sign !== '"') cell += sign;
      else if (whole[at + 1] === '"') [cell, at] = [`${cell}"`, at + 1];
      else isQuoted = false;
    } else if (sign === '"' && cell === "") isQuoted = true;
    else if (sign === ",") {
      row.push(cell);
      cell = "";
    } else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && whole[at + 1] === "\n") at += 1;
      endRow();
    } else cell += sign;
  }
  if (cell !== "" || row.length > 0) endRow();
  return rows;
}

export interface FieldChange {
  field: string;
  before: string;
  after: string;
}
export interface RowChange {
  key: string;
  isNew: boolean;
  fields: FieldChange[];
}

/** What the rows of a file would change in those of the register, both as CSV; `key` names a row. */
export function changesOf(file: string, register: string, key: readonly string[]): RowChange[] {
  const [given, known] = [tableOf(file), tableOf(register)];
  const byKey = new Map(known.map((row) => [keyOf(row, key), row]));
  return given.flatMap((row): RowChange[] => {
    const name = keyOf(row, key);
    const before = byKey.get(name);
    const fields = Object.entries(row)
      .filter(([field, after]) => !isSame(before?.[field] ?? "", after))
      .map(([field, after]) => ({ field, before: before?.[field] ?? "", after }));
    if (before !== undefined && fields.length === 0) return [];
    return [{ key: name, isNew: before === undefined, fields }];
  });
}

function tableOf(text: string): Record<string, string>[] {
  const [head = [], ...rows] = readCsv(text);
  const names = head.map((name) => name.trim());
  return rows.map((row) => Object.fromEntries(names.map((name, index) => [name, row[index] ?? ""])));
}

function keyOf(row: Readonly<Record<string, string>>, key: readonly string[]): string {
  return key.map((field) => (row[field] ?? "").trim()).join(" / ");
}

/** 2.0 is 2, TRUE is true. */
function isSame(a: string, b: string): boolean {
  const [left, right] = [a.trim(), b.trim()];
  if (left === right) return true;
  if (left !== "" && right !== "" && Number(left) === Number(right)) return true;
  const words = [left.toLowerCase(), right.toLowerCase()];
  return words.every((word) => word === "true" || word === "false") && words[0] === words[1];
}

/** The text of a file: UTF-8, or as Chinese spreadsheets save it (GB 18030). */
export function decodeFile(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("gb18030").decode(bytes);
  }
}
