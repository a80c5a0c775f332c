"""The host site's settings: what docs/embedding.md tells a site to add.

HOST_SETTINGS, a JSON object in the environment, changes them for one process: `"USE_TZ": false` sets, `"MIDDLEWARE+":
[...]` appends, `"+MIDDLEWARE": [...]` puts in front.
"""

import json
import os
from pathlib import Path

DEBUG = True
SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "channels",
    "nous_chat",
    "accounts",
    "chat",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "host.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ASGI_APPLICATION = "host.asgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("HOST_DATABASE", ":memory:"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL",
        },
        "ATOMIC_REQUESTS": True,  # as many sites have it
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}}
AUTH_USER_MODEL = "accounts.Member"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # its passwords are the tests'
LOGIN_URL = "/enter/"
STATIC_URL = "/assets/"
USE_TZ = True
MEDIA_ROOT = Path(os.environ.get("HOST_DATABASE", "")).parent / "media"

NOUS_CHAT = {
    "WEBSOCKET_URL": "/live/talk/",
    "AGENTS": {"helper": {"name": "Helper", "model": os.environ.get("NOUS_CHAT_MODEL", "demo:tour")}},
}

for name, value in json.loads(os.environ.get("HOST_SETTINGS", "{}")).items():
    if name.startswith("+"):
        globals()[name[1:]] = [*value, *globals()[name[1:]]]
    elif name.endswith("+"):
        globals()[name[:-1]] = [*globals()[name[:-1]], *value]
    else:
        globals()[name] = value
