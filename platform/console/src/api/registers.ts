/** Registers: rows with versions. Every writer throws Problem; `register-faults` carries what is wrong with each field. */
import { get, getText, post, postText, put, remove } from "./http.ts";
import type { Page, RegisterImport, RegisterRow, RegisterSchema } from "./types.ts";

/** Where a register is. */
export interface RegisterPlace {
  system: string;
  register: string;
}
export type Fields = Record<string, unknown>;
export interface RowBody {
  record: Fields;
  note?: string;
  valid_from?: string;
}

export function readRegister(place: RegisterPlace): Promise<RegisterSchema> {
  return get(`${path(place)}/schema`);
}

export async function listRows(
  place: RegisterPlace,
  asked: { text?: string; as_of?: string | undefined },
  cursor: string | null,
): Promise<Page<RegisterRow>> {
  const answer = await get<{ rows: RegisterRow[]; next: string | null }>(path(place), {
    ...asked,
    cursor,
    limit: 200,
  });
  return { items: answer.rows, next: answer.next };
}

/** All rows that match, in the form that an import takes. */
export function readRegisterCsv(place: RegisterPlace, asked: { text?: string; as_of?: string | undefined } = {}) {
  return getText(path(place), asked);
}

export async function listVersions(place: RegisterPlace, row: number): Promise<RegisterRow[]> {
  return (await get<{ versions: RegisterRow[] }>(`${path(place)}/${row}/versions`, { limit: 200 })).versions;
}

export function addRow(place: RegisterPlace, body: RowBody): Promise<RegisterRow> {
  return post(path(place), body);
}

export function changeRow(place: RegisterPlace, row: number, version: number, body: RowBody): Promise<RegisterRow> {
  return put(`${path(place)}/${row}`, body, version);
}

export function deleteRow(place: RegisterPlace, row: number, version: number): Promise<unknown> {
  return remove(`${path(place)}/${row}`, version);
}

export function takeStep(place: RegisterPlace, row: number, step: string, note: string): Promise<RegisterRow> {
  return post(`${path(place)}/${row}/steps/${step}`, note ? { note } : undefined);
}

export function importCsv(place: RegisterPlace, text: string, isDryRun: boolean): Promise<RegisterImport> {
  return postText(`${path(place)}/import`, text, { dry_run: isDryRun });
}

function path({ system, register }: RegisterPlace): string {
  return `/registers/${system}/${register}`;
}
