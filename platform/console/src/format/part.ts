/** What tells two points of one asset and quantity apart, in words: flow-in is the inlet, current-b is phase B. */
import { fill, type Messages } from "../i18n/index.ts";

const NUMBERED = /^(channel|state)-(\d+)$/;

/** "" for the point that is called like its quantity: it is the whole. A name that says no more stays as it is. */
export function partName(m: Messages, point: { name: string; quantity: { id: string } }): string {
  const name = point.name.slice(point.name.indexOf(".") + 1);
  if (name === point.quantity.id) return "";
  const numbered = NUMBERED.exec(name);
  if (numbered?.[2] !== undefined) return fill(m.point.channel, { n: numbered[2] });
  const end = name.slice(name.lastIndexOf("-") + 1);
  const words: Readonly<Record<string, string>> = m.point.parts;
  return (name.includes("-") && Object.hasOwn(words, end) && words[end]) || name;
}
