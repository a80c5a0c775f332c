"""nousproject's settings with a short DISCONNECT_GRACE, for tests of abandoned runs."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"DISCONNECT_GRACE": 0.3}
