/** ECharts with the few parts that a trend needs; loaded when the first trend is shown. */
import { LineChart } from "echarts/charts";
import { GridComponent, MarkLineComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";

use([LineChart, GridComponent, MarkLineComponent, CanvasRenderer]);

export { init };
export type { EChartsType } from "echarts/core";
