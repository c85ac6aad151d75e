/** The plain lists: gateways and what did not come in as it should. Each reads one page. */
import { get } from "./http.ts";
import type { Conflict, DeadLetter, Device, Gap, Gateway, Page, Quarantined } from "./types.ts";

export type ReadPage<Item> = (cursor: string | null) => Promise<Page<Item>>;

const LIMIT = 200;

export const listGateways: ReadPage<Gateway> = (cursor) => get("/gateways", { cursor, limit: LIMIT });
export function listGaps(gateway?: string): ReadPage<Gap> {
  return (cursor) => get("/gaps", { gateway, cursor, limit: LIMIT });
}
export const listDeadLetters: ReadPage<DeadLetter> = (cursor) => get("/dead-letters", { cursor, limit: LIMIT });
export const listQuarantine: ReadPage<Quarantined> = (cursor) => get("/quarantine", { cursor, limit: LIMIT });
export const listConflicts: ReadPage<Conflict> = (cursor) => get("/conflicts", { cursor, limit: LIMIT });

/** Devices that no asset of park.toml names. */
export const listUnapproved: ReadPage<Device> = async (cursor) => {
  const answer = await get<{ devices: Device[]; next: string | null }>("/devices", {
    assigned: false,
    cursor,
    limit: LIMIT,
  });
  return { items: answer.devices, next: answer.next };
};
