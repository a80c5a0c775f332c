"""Rows in, engine messages out: what a model is sent of a conversation, within a token budget. Called by `store`."""

from collections.abc import Iterable

from . import engine, models
from .objects import Person

TOKENS_PER_MESSAGE = 4
CHARS_PER_TOKEN = 4
"""A rough estimate, good enough to stay inside a budget: vendors' guides give about four characters a token."""


def estimate(text: str) -> int:
    return TOKENS_PER_MESSAGE + len(text) // CHARS_PER_TOKEN


def prompt(newest_first: Iterable[models.Message], budget: int) -> list[engine.Message]:
    """The newest messages whose estimates fit into `budget` tokens, oldest first; at least the newest one.

    Answers that hold no text are left out, so that a failed one does not make a model see an empty turn. A message
    carries its author's name, which a provider shows the model when several people speak.
    """
    chosen: list[models.Message] = []
    for row in newest_first:
        if not row.text:
            continue
        budget -= estimate(row.text)
        if budget < 0 and chosen:
            break
        chosen.append(row)
    chosen.reverse()
    several = len({row.author_id for row in chosen if row.role == models.Message.Role.USER}) > 1
    return [_message(row, named=several) for row in chosen]


def _message(row: models.Message, *, named: bool) -> engine.Message:
    name = Person.of(row.author).name if named and row.author is not None else None
    return engine.Message(row.role, row.text, name=name)  # type: ignore[arg-type]  # the choices of Role
