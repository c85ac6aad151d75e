import { readonly, ref } from "vue";

/** How far the centre's clock is ahead of this machine's, in ms: ages are told by the centre's clock. */
let offset = 0;
const moment = ref(Date.now());

/** The centre's time in ms since 1970 UTC, once a second. */
export const now = readonly(moment);

export function setServerTime(time: number): void {
  offset = time - Date.now();
}

export function startClock(): () => void {
  const tick = (): void => {
    moment.value = Date.now() + offset;
  };
  tick();
  const timer = setInterval(tick, 1000);
  return () => clearInterval(timer);
}
