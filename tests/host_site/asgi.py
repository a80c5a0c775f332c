"""The host site as an ASGI application."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host_site.settings")
http = ASGIStaticFilesHandler(get_asgi_application())

from chat import asgi as chat  # noqa: E402  needs the app registry, which the line above fills

application = chat.application(http)
