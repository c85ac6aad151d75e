/** Two languages, typed: `m.alarm.title` in a template, `both(point.quantity.name)` for what the API says in both.
 *
 *     const { m, both, fill } = useLanguage();
 */
import { computed, ref } from "vue";

import { caller } from "../api/http.ts";
import type { Both } from "../api/types.ts";
import { en } from "./en.ts";
import { type Messages, zh } from "./zh.ts";

export type Language = "zh" | "en";
export type { Messages } from "./zh.ts";

const KEPT_AS = "park.language";
const MESSAGES: Record<Language, Messages> = { zh, en };

export const language = ref<Language>(firstLanguage());
/** The texts of the language that is chosen. */
export const messages = computed(() => MESSAGES[language.value]);

export function setLanguage(chosen: Language): void {
  language.value = chosen;
  caller.language = chosen;
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  try {
    localStorage.setItem(KEPT_AS, chosen);
  } catch {
    // A browser that keeps nothing asks again next time.
  }
}

/** A name or sentence of the API in the chosen language. */
export function both(text: Both | null | undefined): string {
  return text ? text[language.value] : "";
}

/** Fill the {names} of a text. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** For the set-up of a component. */
export function useLanguage(): { m: typeof messages; both: typeof both; fill: typeof fill } {
  return { m: messages, both, fill };
}

/** A text by a key that came from outside; the key itself where there is none. */
export function lookUp(texts: object, key: string): string {
  const found: unknown = Object.hasOwn(texts, key) ? (texts as Record<string, unknown>)[key] : undefined;
  return typeof found === "string" ? found : key;
}

function firstLanguage(): Language {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEPT_AS);
  } catch {
    // as above
  }
  if (kept === "zh" || kept === "en") return kept;
  const wanted = typeof navigator === "undefined" ? [] : navigator.languages;
  // Chinese first: English only for a browser that asks for it before any Chinese.
  const first = wanted.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag === "zh" || tag === "en");
  return first === "en" ? "en" : "zh";
}
