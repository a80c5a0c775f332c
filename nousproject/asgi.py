"""The site as an ASGI application: `daphne nousproject.asgi:application`."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nousproject.settings")
http = get_asgi_application()

from chat import asgi as chat  # noqa: E402  needs the app registry, which the line above fills

if settings.DEBUG:  # serves static files without collectstatic; otherwise WhiteNoise does
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

    http = ASGIStaticFilesHandler(http)

# Nothing else takes files, so what Django accepts as a form is enough. Nor are there public pages but to sign in and to
# begin as a guest, so a quarter of the time is enough for visitors who have not done so.
application = chat.application(http, max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE, strangers=0.25)
