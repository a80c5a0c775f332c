"""Translatable texts for people: English, with what is needed to render them in another language.

The engine itself knows no languages. A caller that does (the chat, with Django's gettext) passes its translate function
to `EngineError.translated`.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Translatable:
    """`template` is English, with `%(name)s` for each of `values`, which may be translatable as well."""

    template: str
    values: "dict[str, str | Translatable]"

    def translated(self, translate: Callable[[str], str]) -> str:
        """`translate` is called with the templates, before the values are filled in."""
        values = {
            name: value.translated(translate) if isinstance(value, Translatable) else value
            for name, value in self.values.items()
        }
        return translate(self.template) % values


def _(template: str, **values: str | Translatable) -> Translatable:
    """Has the name by which makemessages finds the templates."""
    return Translatable(template, values)
