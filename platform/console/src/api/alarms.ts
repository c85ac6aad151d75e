import { get, post } from "./http.ts";
import type { Alarm, AlarmState, AlarmWithJournal, Page, Priority } from "./types.ts";

/** A type, not an interface: so that it is a Query, too. */
export type AlarmFilter = {
  open?: boolean;
  state?: readonly AlarmState[];
  priority?: readonly Priority[];
  since?: string;
  point?: number;
};

export interface Outcome {
  id: number;
  state: AlarmState;
}

export function listAlarms(filter: AlarmFilter, cursor: string | null = null, limit = 100): Promise<Page<Alarm>> {
  return get("/alarms", { ...filter, cursor, limit });
}

export function readAlarm(id: number): Promise<AlarmWithJournal> {
  return get(`/alarms/${id}`);
}

export function acknowledgeAlarm(id: number, note: string): Promise<Outcome> {
  return post(`/alarms/${id}/acknowledge`, note ? { note } : undefined);
}

export function resetAlarm(id: number, note: string): Promise<Outcome> {
  return post(`/alarms/${id}/reset`, note ? { note } : undefined);
}
