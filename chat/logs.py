"""What a log may hold: lines that nobody can forge, without tokens and without search words."""

import copy
import logging
import re

from django.core.exceptions import SuspiciousOperation

from .engine.printable import printable

TOKEN_PREFIX = "nct_"  # noqa: S105  no secret
"""How API tokens begin, so that people and scanners recognise them."""

_TOKEN = re.compile(rf"(/join/)[^\s/?\"']+|\b({TOKEN_PREFIX})[\w-]{{20,}}|(?i:\b(bearer\s+))[^\s\"',;]{{16,}}")


def hide_tokens(text: str) -> str:
    """The text without the tokens in addresses of invitation links (`nous_chat:join`), without API tokens, and without
    other bearer tokens.
    """
    return _TOKEN.sub(lambda found: (found[1] or found[2] or found[3]) + "***", text)


def loggable_path(path: str) -> str:
    """The path of a request without its query, where search words are, and the address to go to after signing in."""
    return hide_tokens(printable(path.partition("?")[0]))


class LineFormatter(logging.Formatter):
    """A formatter for text logs. Every line but a record's first is indented, so text from users, in a message or in a
    traceback, cannot look like another record.

    Requests that Django refuses as suspicious, such as one with a wrong Host header, are logged without a traceback:
    anybody can send them, and they are no bugs.
    """

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and isinstance(record.exc_info[1], SuspiciousOperation):
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return hide_tokens(printable("\n    ".join(super().format(record).splitlines())))
