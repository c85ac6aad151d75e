import { computed, readonly, ref, shallowRef } from "vue";

import { caller, get, post, Problem, remove } from "./http.ts";
import type { Session } from "./types.ts";

export type Role = "administrator" | "operator" | "safety" | "enterprise" | "regulator" | "auditor";

/** undefined: not asked yet; null: nobody is signed in. */
const current = shallowRef<Session | null | undefined>(undefined);

export const session = computed(() => current.value);
export const role = computed<Role | null>(() => (current.value?.role as Role | undefined) ?? null);

/** The live stream has no door for auditors: each of their reads is written down. */
export const mayStream = computed(() => role.value !== "auditor");

/** Who may acknowledge and reset. The API decides; this only hides what it would refuse. */
export const mayAct = computed(() => ["administrator", "operator", "safety"].includes(role.value ?? ""));

const ended = ref(false);
/** Whether the server has ended the session, and not the person. */
export const hasEnded = readonly(ended);

caller.onSignedOut = () => {
  if (current.value) ended.value = true;
  keep(null);
};
// Somebody has signed in, in another window of this browser: what this one shows is no longer theirs to see.
caller.onOtherSession = () => void loadSession().catch(() => undefined);

const OTHER_WINDOWS = "park.session";

/** Hear that another window of this browser has signed somebody in or out, and take that up; returns how to stop. */
export function shareSession(): () => void {
  const channel = new BroadcastChannel(OTHER_WINDOWS);
  channel.onmessage = () => caller.onOtherSession();
  tellOthers = () => channel.postMessage("changed");
  return () => {
    tellOthers = () => {};
    channel.close();
  };
}
let tellOthers = (): void => {};

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
  const token = linkOrToken
    .trim()
    .replace(/^.*\/signin\//, "")
    .replace(/[/?#\s].*$/, "");
  keep(await post<Session>("/session", { token }));
}

/** Throws Problem: the session has not ended then, and nobody may believe that it has. */
export async function signOut(): Promise<void> {
  try {
    await remove("/session");
  } catch (error) {
    if (!(error instanceof Problem && error.status === 401)) throw error;
  }
  keep(null);
}

function keep(session: Session | null): void {
  // A link signs in before this page is loaded, so its first word counts, too.
  const isOther = current.value === undefined || (session?.csrf ?? "") !== caller.csrf;
  if (session !== null) ended.value = false;
  caller.csrf = session?.csrf ?? "";
  current.value = session;
  if (isOther) tellOthers();
}
