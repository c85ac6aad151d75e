/** A list of the API, page after page.
 *
 *     const gaps = usePages(listGaps);   // reads the first page at once
 *     <DataTable :source="gaps" …>
 */
import { onScopeDispose, reactive, shallowRef } from "vue";

import { sentenceOf } from "../api/http.ts";
import type { Page } from "../api/types.ts";
import { onLinkBack } from "../live/live.ts";

export interface Source<Row> {
  readonly rows: readonly Row[];
  /** Whether the API has more rows than these. */
  readonly hasMore: boolean;
  readonly isLoading: boolean;
  /** Why the last reading failed; empty when it did not. */
  readonly failure: string;
  more(): Promise<void>;
  /** Start again with the first page; the rows stay until it has come. */
  reload(): Promise<void>;
}

/** Pages of `read`. With `refreshMs`, the first page is read again that often as long as no other was asked for.
 * While `isWanted` says no, nothing is read by itself.
 */
export function usePages<Row>(
  read: (cursor: string | null) => Promise<Page<Row>>,
  refreshMs?: number,
  isWanted = (): boolean => true,
): Source<Row> {
  const rows = shallowRef<readonly Row[]>([]);
  const state = reactive({ isLoading: false, failure: "", next: null as string | null, pages: 0 });
  let turn = 0;

  async function load(isFirst: boolean): Promise<void> {
    const mine = ++turn;
    state.isLoading = true;
    try {
      const page = await read(isFirst ? null : state.next);
      if (mine !== turn) return;
      rows.value = isFirst ? page.items : [...rows.value, ...page.items];
      Object.assign(state, { failure: "", next: page.next, pages: isFirst ? 1 : state.pages + 1 });
    } catch (error) {
      if (mine === turn) state.failure = sentenceOf(error);
    } finally {
      if (mine === turn) state.isLoading = false;
    }
  }

  if (isWanted()) void load(true);
  if (refreshMs !== undefined) {
    const timer = setInterval(() => {
      if (isWanted() && !state.isLoading && state.pages <= 1 && !document.hidden) void load(true);
    }, refreshMs);
    onScopeDispose(() => clearInterval(timer));
  }
  onScopeDispose(() => (turn += 1));
  onLinkBack(() => {
    if (state.failure && isWanted()) void load(state.pages === 0);
  });

  return reactive({
    get rows() {
      return rows.value;
    },
    get hasMore() {
      return state.next !== null;
    },
    get isLoading() {
      return state.isLoading;
    },
    get failure() {
      return state.failure;
    },
    more: () => load(false),
    reload: () => load(true),
  }) as Source<Row>;
}
