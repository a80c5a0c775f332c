"""The site's settings as in production, with a second agent, `writer`, that writes documents."""

from nousproject.settings import *  # noqa: F403
from nousproject.settings import NOUS_CHAT

from .people import WRITER

NOUS_CHAT = NOUS_CHAT | {
    "AGENTS": {"assistant": {}, WRITER: {"name": "Writer", "documents": True}},
}
