"""nousproject's settings as in production, but without TLS, and with the pages of `held_site`."""

from nousproject.settings import *  # noqa: F403

ROOT_URLCONF = "tests.sites.held_site"
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
NOUS_CHAT |= {"DRAIN_SECONDS": 1}  # noqa: F405
