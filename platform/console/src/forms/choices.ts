/** Names of the park that a field may hold: enterprises to choose from, assets to be reminded of. */
import { park } from "../api/park.ts";
import type { Both } from "../api/types.ts";

export interface Choice {
  value: string;
  name: Both;
}

/** What a field of this name is chosen from; null for any other. */
export function choicesOf(field: string, enterpriseField: string | null = null): Choice[] | null {
  if (field !== "enterprise" && field !== enterpriseField) return null;
  return (park.value?.enterprises ?? []).map(({ key, name }) => ({ value: key, name }));
}

/** What is offered while somebody types, without forbidding anything else. */
export function remindersOf(field: string): Choice[] {
  if (field !== "asset") return [];
  return (park.value?.assets ?? []).map(({ key, name }) => ({ value: key, name }));
}
