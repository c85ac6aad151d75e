/** What the browser's tab calls a page that the router has no name for. */
import { onScopeDispose, ref, watchEffect } from "vue";

export const pageTitle = ref("");

/** Call the page like this, as long as its component lives. */
export function useTitle(name: () => string): void {
  watchEffect(() => (pageTitle.value = name()));
  onScopeDispose(() => (pageTitle.value = ""));
}
