import { address, get, type Query } from "./http.ts";
import type { ReportDocument, ReportSchema } from "./types.ts";

export interface ReportPlace {
  system: string;
  report: string;
}

export function readReportForm(place: ReportPlace): Promise<ReportSchema> {
  return get(`${path(place)}/schema`);
}

/** Throws Problem; `parameters-wrong` carries what is wrong with each parameter. */
export function makeReport(place: ReportPlace, parameters: Query): Promise<ReportDocument> {
  return get(path(place), parameters);
}

/** Where a browser downloads it. */
export function reportAddress(place: ReportPlace, parameters: Query, format: "json" | "csv"): string {
  return address(path(place), { ...parameters, format });
}

function path({ system, report }: ReportPlace): string {
  return `/reports/${system}/${report}`;
}
