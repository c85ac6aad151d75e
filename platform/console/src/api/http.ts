/** One door to the API: JSON in and out, problems as errors, the CSRF token and the language on every request. */

export type Query = Record<string, string | number | boolean | readonly (string | number)[] | null | undefined>;

/** A problem document (RFC 9457). `code` 0 as status: the server could not be reached. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  /** Whatever else the document carries, for example `faults` of a register. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(status: number, code: string, title: string, detail: string, fields: Record<string, unknown> = {}) {
    super(detail || title);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.detail = detail || title;
    this.fields = fields;
  }
}

/** What goes with every request; session.ts and i18n keep it. */
export const caller = {
  csrf: "",
  language: "zh" as "zh" | "en",
  /** Called when the server no longer knows the session. */
  onSignedOut: (): void => {},
  /** Called when the server knows another session than this window's. */
  onOtherSession: (): void => {},
};

const BASE = "/api/v1";

/** The path with its query; empty values are left out, lists repeat their name. */
export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one));
  }
  const text = parameters.toString();
  return `${BASE}${path}${text ? `?${text}` : ""}`;
}

export function get<Body>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Body> {
  return request<Body>("GET", address(path, query), signal ? { signal } : {});
}

export function post<Body>(path: string, body?: unknown, query: Query = {}): Promise<Body> {
  return request<Body>("POST", address(path, query), content(body));
}

/** `version` is what the person has seen; the server answers 412 when somebody was faster. */
export function put<Body>(path: string, body: unknown, version: number): Promise<Body> {
  const { headers, ...rest } = content(body);
  return request<Body>("PUT", address(path), { ...rest, headers: { ...headers, "If-Match": `"${version}"` } });
}

export function remove(path: string, version?: number): Promise<null> {
  const headers: Record<string, string> = version === undefined ? {} : { "If-Match": `"${version}"` };
  return request<null>("DELETE", address(path), { headers });
}

/** A CSV as text, for previews and imports; downloads go by link (tables/save.ts). */
export async function getText(path: string, query: Query = {}): Promise<string> {
  const response = await reach("GET", address(path, query), { headers: { Accept: "text/csv" } });
  return response.text();
}

export function postText<Body>(path: string, text: string, query: Query = {}): Promise<Body> {
  return request<Body>("POST", address(path, query), { headers: { "Content-Type": "text/csv" }, body: text });
}

interface Sent {
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

function content(body: unknown): Sent {
  if (body === undefined) return {};
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

async function request<Body>(method: string, url: string, sent: Sent): Promise<Body> {
  const response = await reach(method, url, sent);
  return (response.status === 204 ? null : await response.json()) as Body;
}

async function reach(method: string, url: string, sent: Sent): Promise<Response> {
  const headers = {
    Accept: "application/json",
    "Accept-Language": caller.language,
    ...(method === "GET" ? {} : { "X-CSRF-Token": caller.csrf }),
    ...sent.headers,
  };
  let response: Response;
  try {
    response = await fetch(url, { ...sent, method, headers, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "", unreachable());
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem.status === 401 && problem.code === "sign-in-needed") caller.onSignedOut();
  if (problem.code === "csrf-token-wrong") {
    caller.onOtherSession();
    throw new Problem(problem.status, problem.code, "", otherSession());
  }
  throw problem;
}

async function problemOf(response: Response): Promise<Problem> {
  const media = response.headers.get("content-type") ?? "";
  if (!media.includes("json")) return new Problem(response.status, "unknown", "", `HTTP ${response.status}`);
  const body = (await response.json()) as Record<string, unknown>;
  const text = (name: string): string => (typeof body[name] === "string" ? body[name] : "");
  return new Problem(response.status, text("code"), text("title"), text("detail"), body);
}

function unreachable(): string {
  return caller.language === "zh" ? "无法连接服务器。" : "The server can't be reached.";
}

function otherSession(): string {
  return caller.language === "zh"
    ? "此浏览器的另一窗口已重新登录，本窗口已随之更新。请再试一次。"
    : "Somebody has signed in in another window of this browser; this one has followed. Do it once more.";
}

/** The sentence to show for anything that was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
