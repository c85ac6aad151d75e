import { shallowRef } from "vue";

import { get, Problem } from "./http.ts";
import type { Park, ParkSystem } from "./types.ts";

/** Name, zones, enterprises and assets, cut to what the person may see; null until it is read. */
export const park = shallowRef<Park | null>(null);
/** The enabled systems whose pages the person may open: the menu follows from it. */
export const systems = shallowRef<readonly ParkSystem[]>([]);

export async function loadPark(): Promise<void> {
  park.value = await get<Park>("/park");
}

/** Read the systems; a server without them has none. Throws Problem. */
export async function loadSystems(): Promise<void> {
  try {
    systems.value = (await get<{ systems: ParkSystem[] }>("/systems")).systems;
  } catch (error) {
    if (!(error instanceof Problem && error.status === 404)) throw error;
    systems.value = [];
  }
}

export function forgetPark(): void {
  park.value = null;
  systems.value = [];
}
