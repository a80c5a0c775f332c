"""What the engine says to people: English, and what it takes to say it in another language. exceptions.py holds it.

The engine itself knows no languages. Whoever does (runs.py, with Django's gettext) asks an error what it `said`.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sentence:
    """`template` is English, with `%(name)s` for each of `values`; these may be sentences again."""

    template: str
    values: dict[str, "str | Sentence"]

    def said(self, translate: Callable[[str], str]) -> str:
        """`translate` gets the templates."""
        values = {name: v.said(translate) if isinstance(v, Sentence) else v for name, v in self.values.items()}
        return translate(self.template) % values

    def changed(self, change: Callable[[str], str]) -> "Sentence":
        """The same with other values."""
        values = {name: v.changed(change) if isinstance(v, Sentence) else change(v) for name, v in self.values.items()}
        return Sentence(self.template, values)


def _(template: str, **values: str | Sentence) -> Sentence:
    """Named so that makemessages finds the template."""
    return Sentence(template, values)
