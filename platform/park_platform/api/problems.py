"""What a caller is told when something is wrong: RFC 9457 problem documents in Chinese or English.

A problem has a code that programs can rely on. It never carries the text of an internal error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeAlias

from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection

from park_wire.errors import ParkError
from park_wire.quantities import Text

Language: TypeAlias = Literal["zh", "en"]
MEDIA_TYPE: Final = "application/problem+json"
CODE_PREFIX: Final = "urn:parkhub:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: the HTTP status and the sentence, in which {name} stands for a field."""

    status: int
    title: Text
    detail: Text


KINDS: Final[Mapping[str, Kind]] = {
    "sign-in-needed": Kind(
        401,
        Text("需要登录", "Sign-in needed"),
        Text("没有有效的会话；请使用一次性登录链接登录。", "There is no living session; sign in with a one-time link."),
    ),
    "link-not-valid": Kind(
        401,
        Text("登录链接无效", "Link not valid"),
        Text(
            "此登录链接不存在、已使用或已过期；请向管理员索取新链接。",
            "This sign-in link is unknown, used or expired; ask an administrator for a new one.",
        ),
    ),
    "too-many-attempts": Kind(
        429,
        Text("尝试过多", "Too many attempts"),
        Text("登录失败次数过多；请在 {wait_s} 秒后再试。", "Too many failed sign-ins; try again in {wait_s} s."),
    ),
    "not-allowed": Kind(
        403,
        Text("无权访问", "Not allowed"),
        Text("角色“{role}”无权使用此功能。", "The role {role} may not use this."),
    ),
    "csrf-token-wrong": Kind(
        403,
        Text("缺少防伪令牌", "CSRF token missing"),
        Text(
            "请求头 X-CSRF-Token 缺失或不正确；请使用登录时返回的 csrf。",
            "The header X-CSRF-Token is missing or wrong; send the csrf that the sign-in returned.",
        ),
    ),
    "origin-foreign": Kind(
        403,
        Text("来源不符", "Foreign origin"),
        Text("请求来自其他网站的页面，已拒绝。", "The request comes from another site's page and is refused."),
    ),
    "host-unknown": Kind(
        421,
        Text("主机名不符", "Unknown host"),
        Text("请通过本系统的地址访问：{url}。", "Use the address of this installation: {url}."),
    ),
    "not-found": Kind(
        404,
        Text("未找到", "Not found"),
        Text("没有此资源，或您无权查看。", "There is no such thing, or you may not see it."),
    ),
    "points-unknown": Kind(
        404,
        Text("测点不存在", "Unknown points"),
        Text("这些测点不存在或您无权查看：{points}。", "These points don't exist or you may not see them: {points}."),
    ),
    "method-not-allowed": Kind(
        405,
        Text("不支持该方法", "Method not allowed"),
        Text("此地址不支持该 HTTP 方法。", "This address does not take that HTTP method."),
    ),
    "not-acceptable": Kind(
        406,
        Text("格式不支持", "Not acceptable"),
        Text("可用格式：{offered}。", "Formats on offer: {offered}."),
    ),
    "alarm-state": Kind(
        409,
        Text("报警状态不允许", "Alarm not in that state"),
        Text("报警处于“{state}”状态，不能执行此操作。", "The alarm is {state}; that can't be done to it."),
    ),
    "body-too-large": Kind(
        413,
        Text("请求过大", "Body too large"),
        Text("请求体不得超过 1 MiB。", "A request body holds at most 1 MiB."),
    ),
    "request-wrong": Kind(
        422,
        Text("请求有误", "Request wrong"),
        Text("请求中的这些字段有误：{fields}。", "These fields of the request are wrong: {fields}."),
    ),
    "cursor-unknown": Kind(
        422,
        Text("游标无效", "Unknown cursor"),
        Text("cursor 须取自上一页的 next。", "A cursor is the `next` of the page before."),
    ),
    "query-too-large": Kind(
        422,
        Text("查询过大", "Query too large"),
        Text(
            "查询范围过大；请减少测点、缩短时间段或减小 max_points。",
            "The query is too large; ask for fewer points, a shorter time or a smaller max_points.",
        ),
    ),
    "parameters-wrong": Kind(
        422,
        Text("报表参数有误", "Wrong parameters"),
        Text("报表的这些参数有误：{fields}。", "These parameters of the report are wrong: {fields}."),
    ),
    "report-failed": Kind(
        424,
        Text("报表生成失败", "The report failed"),
        Text(
            "系统“{system}”的报表“{report}”生成失败；原因已记录，其他报表不受影响。",
            "The report {report} of the system {system} can't be made; the reason is logged, "
            "other reports are not affected.",
        ),
    ),
    "report-too-long": Kind(
        424,
        Text("报表生成超时", "The report took too long"),
        Text(
            "系统“{system}”的报表“{report}”在 {most_s} 秒内未能完成，已停止；请缩短时间段或只选一家企业，"
            "若仍如此，请联系该系统的维护者。",
            "The report {report} of the system {system} was stopped: a step of it took more than {most_s} s. Ask for a "
            "shorter time or for one enterprise; if that does not help, tell whoever maintains the system.",
        ),
    ),
    "register-faults": Kind(
        422,
        Text("填写有误", "Wrong entries"),
        Text("所填内容有误，逐项见 faults。", "What was entered is wrong; `faults` lists everything."),
    ),
    "register-too-large": Kind(
        422,
        Text("记录过多", "Too many rows"),
        Text(
            "一个文件最多 {most} 条记录；请用 text 缩小范围。",
            "A file holds {most} rows at most; narrow it down by text.",
        ),
    ),
    "row-state": Kind(
        409,
        Text("记录状态不允许", "Row not in that state"),
        Text("记录的当前状态不允许此操作。", "The state of the row does not allow that."),
    ),
    "row-outdated": Kind(
        412,
        Text("记录已被他人修改", "Somebody was faster"),
        Text(
            "记录已有更新的版本；请重新读取后再修改。",
            "The row has a newer version; read it again and repeat the change.",
        ),
    ),
    "if-match-needed": Kind(
        428,
        Text("缺少版本", "Version needed"),
        Text(
            '请在请求头 If-Match 中给出所依据的版本，例如 "3"。',
            'Say which version is changed in the header If-Match: "3".',
        ),
    ),
    "too-many-live": Kind(
        429,
        Text("实时连接过多", "Too many live streams"),
        Text("同时打开的实时连接不得超过 {most} 个。", "At most {most} live streams may be open at once."),
    ),
    "internal": Kind(
        500,
        Text("内部错误", "Internal error"),
        Text("系统内部错误，已记录。", "Something went wrong here; it has been logged."),
    ),
    "database-unavailable": Kind(
        503,
        Text("数据库暂不可用", "Database unavailable"),
        Text("数据库暂不可用，恢复后自动继续。", "The database can't be reached just now; this passes by itself."),
    ),
}


@dataclass(eq=False)
class Problem(ParkError):
    """Raised by routes and the door; becomes a problem document. `fields` fill the sentence and stand beside it."""

    code: str
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    retryable: ClassVar[bool] = False


def language_of(connection: HTTPConnection) -> Language:
    """Chinese, unless the caller's Accept-Language prefers English."""
    weights: dict[str, float] = {}
    for part in connection.headers.get("accept-language", "").split(",")[:16]:
        tag, _, rest = part.strip().partition(";")
        name = tag.strip().lower().split("-")[0]
        quality = rest.strip().removeprefix("q=").strip()
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        weights[name] = max(weights.get(name, 0.0), weight)
    return "en" if weights.get("en", 0.0) > weights.get("zh", 0.0) else "zh"


def problem_response(problem: Problem, language: Language) -> JSONResponse:
    """The problem as a document of its kind."""
    kind = KINDS[problem.code]
    title, detail = getattr(kind.title, language), getattr(kind.detail, language)
    body = {
        "type": CODE_PREFIX + problem.code,
        "title": title,
        "status": kind.status,
        "detail": detail.format_map({name: _as_text(value) for name, value in problem.fields.items()}),
        "code": problem.code,
        **problem.fields,
    }
    headers = {"Content-Language": language, "Vary": "Accept-Language", **problem.headers}
    return JSONResponse(body, kind.status, headers, media_type=MEDIA_TYPE)


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_as_text, value))  # pyright: ignore[reportUnknownArgumentType]
    return str(value)
