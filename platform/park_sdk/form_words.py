"""What is wrong with a field in words that people understand, for the kinds of mistakes that pydantic finds. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from park_sdk.days import MONTH_PATTERN
from park_wire.quantities import Text

# What a pattern that many fields have is called.
_PATTERNS: Final[Mapping[str, Text]] = {
    r"^[a-z0-9-]{1,32}$": Text("只能用 1 至 32 个小写字母、数字或连字符", "use 1 to 32 of a-z, 0-9 and -"),
    MONTH_PATTERN: Text("须为月份，例如 2026-11", "must be a month, such as 2026-11"),
}

_NUMBER: Final = Text("须为数字", "must be a number")
_WHOLE: Final = Text("须为整数", "must be a whole number")
_YES_NO: Final = Text("须为是（true）或否（false）", "must be yes (true) or no (false)")
_DATE: Final = Text("须为日期，例如 2026-11-24", "must be a date, such as 2026-11-24")
_TIME: Final = Text("须为时刻，例如 08:30:00", "must be a time of day, such as 08:30:00")
_MOMENT: Final = Text(
    "须为日期和时间，例如 2026-11-24T08:30:00+08:00", "must be a date and time, such as 2026-11-24T08:30:00+08:00"
)
_SPAN: Final = Text("须为时长，例如 PT30M（30 分钟）", "must be a length of time, such as PT30M (30 minutes)")
_LIST: Final = Text("须为列表", "must be a list")
_GROUP: Final = Text("须为一组字段", "must be a group of fields")
_NOT_VALID: Final = Text("不是有效的值", "is not a valid value")

# {…} stand for what pydantic says besides.
_WORDS: Final[Mapping[str, Text]] = {
    "missing": Text("必填", "must be filled in"),
    "extra_forbidden": Text("没有此字段", "there is no such field"),
    "none_required": Text("须留空", "must be left empty"),
    "string_type": Text("须为文本", "must be text"),
    "string_unicode": Text("含有无法保存的字符", "holds characters that can't be stored"),
    "string_too_short": Text("至少 {min_length} 个字符", "must have at least {min_length} characters"),
    "string_too_long": Text("不得超过 {max_length} 个字符", "must have at most {max_length} characters"),
    "string_pattern_mismatch": Text("格式不符，应为 {pattern}", "does not have the form {pattern}"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": Text("数字过大", "the number is too large"),
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "decimal_max_digits": Text("不得超过 {max_digits} 位数字", "must have at most {max_digits} digits"),
    "decimal_max_places": Text(
        "小数不得超过 {decimal_places} 位", "must have at most {decimal_places} digits after the point"
    ),
    "decimal_whole_digits": Text(
        "整数部分不得超过 {whole_digits} 位", "must have at most {whole_digits} digits before the point"
    ),
    "finite_number": Text("须为有限的数字", "must be a finite number"),
    "greater_than": Text("须大于 {gt}", "must be more than {gt}"),
    "greater_than_equal": Text("不得小于 {ge}", "must be at least {ge}"),
    "less_than": Text("须小于 {lt}", "must be less than {lt}"),
    "less_than_equal": Text("不得大于 {le}", "must be at most {le}"),
    "multiple_of": Text("须为 {multiple_of} 的倍数", "must be a multiple of {multiple_of}"),
    "bool_type": _YES_NO,
    "bool_parsing": _YES_NO,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "date_past": Text("须为过去的日期", "must be a date in the past"),
    "date_future": Text("须为将来的日期", "must be a date in the future"),
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "datetime_past": Text("须为过去的时间", "must be in the past"),
    "datetime_future": Text("须为将来的时间", "must be in the future"),
    "timezone_aware": Text(
        "缺少时区，例如 2026-11-24T08:30:00+08:00",
        "the offset from UTC is missing, as in 2026-11-24T08:30:00+08:00",
    ),
    "timezone_naive": Text("不得带时区", "must be without an offset from UTC"),
    "timezone_offset": Text("时区不符", "has another offset from UTC than is expected"),
    "time_type": _TIME,
    "time_parsing": _TIME,
    "time_delta_type": _SPAN,
    "time_delta_parsing": _SPAN,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "too_short": Text("至少 {min_length} 项", "must have at least {min_length} items"),
    "too_long": Text("不得超过 {max_length} 项", "must have at most {max_length} items"),
    "dict_type": _GROUP,
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
    "dataclass_type": _GROUP,
}
_CHOICES: Final = ("enum", "literal_error")
_OWN_CHECKS: Final = ("value_error", "assertion_error")


def words_for(kind: str, context: Mapping[str, Any], said: str, values: Sequence[tuple[str, str, str]] = ()) -> Text:
    """What a mistake is called.

    Args:
        kind: Pydantic's name of it.
        context: What pydantic says besides.
        said: Pydantic's own sentence; used for a check of the system's own, which speaks for itself.
        values: Of the field's Label: what its values mean.
    """
    if kind in _CHOICES:
        return _choice(str(context.get("expected", "")), values)
    if kind in _OWN_CHECKS:
        return _own(context.get("error"), said)
    if kind == "string_too_short" and context.get("min_length") == 1:
        return Text("不能为空", "must not be empty")
    if kind == "string_pattern_mismatch" and context.get("pattern") in _PATTERNS:
        return _PATTERNS[context["pattern"]]
    words = _WORDS.get(kind, _NOT_VALID)
    shown = {name: _number(value) for name, value in context.items()}
    return Text(words.zh.format_map(_Said(shown)), words.en.format_map(_Said(shown)))


class _Said(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "?"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _choice(expected: str, values: Sequence[tuple[str, str, str]]) -> Text:
    if values:
        zh = "、".join(f"{value}（{zh}）" for value, zh, _ in values)
        en = ", ".join(f"{value} ({en})" for value, _, en in values)
        return Text(f"须为下列之一：{zh}", f"must be one of {en}")
    listed = expected.replace("'", "")
    return Text(f"须为下列之一：{listed.replace(' or ', '、').replace(', ', '、')}", f"must be one of {listed}")


def _own(error: object, said: str) -> Text:
    """The sentence of a system's own check: `raise ValueError(Text(zh, en))`, or one in English alone."""
    given = error.args[0] if isinstance(error, Exception) and error.args else None
    if isinstance(given, Text):
        return given
    sentence = said.removeprefix("Value error, ").removeprefix("Assertion failed, ") or "is not valid"
    return Text(f"不符合要求：{sentence}", sentence)
