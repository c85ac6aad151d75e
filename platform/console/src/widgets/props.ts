import type { Widget } from "../api/types.ts";

/** What every widget is given. */
export interface WidgetProps<Kind extends Widget["kind"]> {
  widget: Extract<Widget, { kind: Kind }>;
  system: string;
  /** Points that any widget of the page shows. */
  shown: ReadonlySet<number>;
}
