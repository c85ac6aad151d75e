/** Short sentences at the edge of the screen: what was done, or why it was not. */
import { reactive } from "vue";

import { sentenceOf } from "../api/http.ts";

export interface Notice {
  id: number;
  text: string;
  isFailure: boolean;
}

const SHOWN_MS = 6000;
const FAILURE_SHOWN_MS = 15_000;
let last = 0;

export const notices = reactive<Notice[]>([]);

/** Say that something was done; an Error is told as a failure. */
export function tell(news: unknown): void {
  const isFailure = news instanceof Error;
  const notice = { id: ++last, text: sentenceOf(news), isFailure };
  notices.push(notice);
  setTimeout(() => dismiss(notice.id), isFailure ? FAILURE_SHOWN_MS : SHOWN_MS);
}

export function dismiss(id: number): void {
  const index = notices.findIndex((notice) => notice.id === id);
  if (index >= 0) notices.splice(index, 1);
}
