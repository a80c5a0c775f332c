"""Text before it is stored: without characters that the database rejects, as one line, cut to a length."""

from typing import Any

import msgspec
import regex  # type: ignore[import-untyped]
from django.utils.translation import gettext as _

from ..graphemes import cut
from ..models.conversations import MAX_TITLE_CHARS
from ..protocol.errors import ErrorCode, Refused

TITLE_CHARS = 60
"""The length of titles that are made from a text. People may write longer ones."""


_INVISIBLE = regex.compile(r"[\p{Z}\p{C}\p{Default_Ignorable_Code_Point}\u2800\s]*")
"""Blanks, control and zero-width characters; U+2800 is a Braille cell without dots."""


def sanitize_text(text: str) -> str:
    """Replace what a database or a frame cannot hold: NUL characters and unpaired surrogates."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def sanitize_json(value: Any) -> Any:
    """`sanitize_text` for all strings of a JSON value: PostgreSQL's `jsonb` rejects NUL characters as well."""
    return msgspec.json.decode(msgspec.json.encode(value).replace(b"\\u0000", b"\\ufffd"))


def one_line(text: str) -> str:
    """`text` with every run of whitespace as one space."""
    return " ".join(text.split())


def truncate(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis at the end if something was cut."""
    return text if len(text) <= limit else cut(text, limit - 1).rstrip() + "…"


def normalize_title(text: str) -> str:
    """A title that a user wrote, as one line; empty if nothing of it can be seen. Raises Refused if it is too long."""
    title = one_line(sanitize_text(text))
    if len(title) > MAX_TITLE_CHARS:
        raise Refused(ErrorCode.TOO_LARGE, _("A title can have up to %(most)s characters.") % {"most": MAX_TITLE_CHARS})
    return "" if _INVISIBLE.fullmatch(title) else title


def make_title(text: str) -> str:
    """The title of a conversation that begins with this message: its first words."""
    return normalize_title(truncate(one_line(text), TITLE_CHARS))
