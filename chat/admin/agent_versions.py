"""Compares two versions of an agent, field by field and line by line."""

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec
from django.utils.translation import gettext as _
from msgspec import Struct

from ..conf import AgentConf
from .agent_form import AgentForm

MAX_LINES = 2000
"""Longer texts are shown whole, the old one and the new one: comparing takes the square of their length."""


class Difference(Struct, frozen=True):
    """A field that differs. `lines` are pairs of a sign ("-", "+", " ", or "@" for a gap) and a text."""

    label: str
    lines: list[tuple[str, str]]


def compare(old: AgentConf, new: AgentConf) -> list[Difference]:
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    return [
        Difference(_label(name), list(_lines(_text(before[name]), _text(after[name]))))
        for name in AgentConf.__struct_fields__
        if before[name] != after[name]
    ]


def _label(name: str) -> str:
    field = AgentForm.base_fields.get(name)
    return str(field.label) if field is not None and field.label else name


def _text(value: Any) -> list[str]:
    match value:
        case None:
            return []
        case bool():
            return [_("yes") if value else _("no")]
        case list() | tuple():
            return [str(each) for each in value]
        case _:
            return str(value).splitlines()


def _lines(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    if len(old) > MAX_LINES or len(new) > MAX_LINES:
        yield from (("-", line) for line in old)
        yield from (("+", line) for line in new)
        return
    for line in list(difflib.unified_diff(old, new, lineterm="", n=3))[2:]:
        yield line[0], "" if line[0] == "@" else line[1:]
