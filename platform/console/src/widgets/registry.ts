/** Which component draws a widget of which kind (park_sdk/page.py). A kind that is missing here is told on the page. */
import type { Component } from "vue";

import AlarmsWidget from "./AlarmsWidget.vue";
import BarsWidget from "./BarsWidget.vue";
import EventsWidget from "./EventsWidget.vue";
import FaultWidget from "./FaultWidget.vue";
import GaugesWidget from "./GaugesWidget.vue";
import MapWidget from "./MapWidget.vue";
import RegisterWidget from "./RegisterWidget.vue";
import ReportWidget from "./ReportWidget.vue";
import TrendWidget from "./TrendWidget.vue";
import ValuesWidget from "./ValuesWidget.vue";

/** Each takes `widget`, `system`, and `shown`: the points of the whole page. */
export const WIDGETS: Readonly<Record<string, Component>> = {
  values: ValuesWidget,
  trend: TrendWidget,
  bars: BarsWidget,
  gauges: GaugesWidget,
  map: MapWidget,
  alarms: AlarmsWidget,
  events: EventsWidget,
  register: RegisterWidget,
  report: ReportWidget,
  fault: FaultWidget,
};
