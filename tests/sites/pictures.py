"""The site's settings with one host whose pictures answers may show."""

from nousproject.settings import *  # noqa: F403

NOUS_CHAT = {"IMAGE_HOSTS": ("allowed.example",)}
