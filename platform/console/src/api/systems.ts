import { get } from "./http.ts";
import type { Page, ParkEvent, SystemPage } from "./types.ts";

export function readPage(system: string, page: string): Promise<SystemPage> {
  return get(`/systems/${system}/pages/${page}`);
}

/** The last events of a kind, newest first. */
export function listEvents(kind: string, cursor: string | null): Promise<Page<ParkEvent>> {
  return get("/events", { kind, cursor, limit: 50 });
}
