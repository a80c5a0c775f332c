"""nousproject's settings with one host in IMAGE_HOSTS."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"IMAGE_HOSTS": ("allowed.example",)}
