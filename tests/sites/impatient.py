"""The site's settings with a short grace, for tests of leaving."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"DISCONNECT_GRACE": 0.3}
