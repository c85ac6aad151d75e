import { computed, readonly, ref, shallowRef } from "vue";

import { caller, get, post, Problem, remove } from "./http.ts";
import type { Session } from "./types.ts";

export type Role = "administrator" | "operator" | "safety" | "enterprise" | "regulator" | "auditor";

/** undefined: not asked yet; null: nobody is signed in. */
const current = shallowRef<Session | null | undefined>(undefined);

export const session = computed(() => current.value);
export const role = computed<Role | null>(() => (current.value?.role as Role | undefined) ?? null);

/** Who may acknowledge and reset. The API decides; this only hides what it would refuse. */
export const mayAct = computed(() => ["administrator", "operator", "safety"].includes(role.value ?? ""));

const ended = ref(false);
/** Whether the server has ended the session, and not the person. */
export const hasEnded = readonly(ended);

caller.onSignedOut = () => {
  if (current.value) ended.value = true;
  keep(null);
};

/** Ask who is signed in. Throws Problem when that can't be known. */
export async function loadSession(): Promise<void> {
  try {
    keep(await get<Session>("/session"));
  } catch (error) {
    if (!(error instanceof Problem && error.status === 401)) throw error;
    keep(null);
  }
}

/** Sign in with a one-time link or its token. Throws Problem. */
export async function signIn(linkOrToken: string): Promise<void> {
  const token = linkOrToken.trim().replace(/^.*\/signin\//, "");
  keep(await post<Session>("/session", { token }));
}

export async function signOut(): Promise<void> {
  try {
    await remove("/session");
  } finally {
    keep(null);
  }
}

function keep(session: Session | null): void {
  if (session !== null) ended.value = false;
  caller.csrf = session?.csrf ?? "";
  current.value = session;
}
