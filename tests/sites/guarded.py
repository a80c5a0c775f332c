"""nousproject's settings with LoginRequiredMiddleware, which redirects all who are not signed in."""

from nousproject.settings import *  # noqa: F403

MIDDLEWARE = [*MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]  # noqa: F405
