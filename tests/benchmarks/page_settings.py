"""The settings of a page's site: one agent answers with a long text, the other one writes it into a document. From the
environment: OPTIONS, which the provider gets.
"""

import os

from tests.sites.production import *  # noqa: F403

from .people import WRITER

_OPTIONS = os.environ["OPTIONS"]

NOUS_CHAT = {
    "AGENTS": {
        "assistant": {"model": f"custom:documented@{_OPTIONS}"},
        WRITER: {"model": f"custom:written@{_OPTIONS}", "documents": True},
    },
    "TITLE_MODEL": "",
}
