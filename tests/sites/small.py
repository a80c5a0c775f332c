"""nousproject's settings with room for one small file of each user."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"STORAGE_BYTES_PER_USER": 20 * 1024}
