/** How alarms stand in a table. */
import type { Alarm } from "../api/types.ts";
import { formatUnit, formatValue } from "../format/number.ts";
import { formatSpan, formatTime } from "../format/time.ts";
import { both, type Messages } from "../i18n/index.ts";
import type { Column } from "../tables/columns.ts";

/** How long the condition has lasted, or lasted, in ms. */
export function lastedMs(alarm: Alarm, now: number): number {
  const end = alarm.cleared_at ?? alarm.closed_at;
  return (end === null ? now : Date.parse(end)) - Date.parse(alarm.raised_at);
}

/** The state in words; of one that only late readings tell of it says so. */
export function stateOf(alarm: Alarm, m: Messages): string {
  const state = m.alarmState[alarm.state];
  return alarm.late ? `${state} (${m.alarm.late})` : state;
}

export function subjectOf(alarm: Alarm): string {
  return alarm.asset === null ? (alarm.point?.key ?? alarm.subject) : both(alarm.asset.name);
}

export function valueOf(alarm: Alarm, value: number | null): string {
  const unit = alarm.point === null ? "" : formatUnit(alarm.point.unit);
  return value === null || !unit ? formatValue(value) : `${formatValue(value)} ${unit}`;
}

export function alarmColumns(m: Messages, now: number): Column<Alarm>[] {
  const t = m.alarm;
  return [
    { id: "priority", title: t.priority, value: (row) => m.priority[row.priority] },
    { id: "state", title: t.state, value: (row) => stateOf(row, m) },
    { id: "raised", title: t.raisedAt, value: (row) => row.raised_at, text: (row) => formatTime(row.raised_at) },
    { id: "name", title: t.name, value: (row) => both(row.rule.name), isWide: true },
    { id: "asset", title: t.asset, value: subjectOf, isWide: true },
    {
      id: "value",
      title: t.value,
      value: (row) => row.raised_value,
      text: (row) => valueOf(row, row.raised_value),
      isNumber: true,
    },
    { id: "limit", title: t.limit, value: (row) => row.limit, text: (row) => valueOf(row, row.limit), isNumber: true },
    {
      id: "duration",
      title: t.duration,
      value: (row) => Math.round(lastedMs(row, now) / 1000),
      text: (row) => formatSpan(lastedMs(row, now)),
      isNumber: true,
    },
    { id: "times", title: t.timesRaised, value: (row) => row.times_raised, isNumber: true },
    { id: "by", title: t.ackedBy, value: (row) => row.acked_by, text: (row) => row.acked_by ?? "" },
  ];
}
