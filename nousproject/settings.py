"""The site's settings, all from the environment (docs/settings.md). An example for sites that embed the chat."""

import logging
import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = BASE_DIR / "var"


def flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


def words(name: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


DEBUG = flag("DEBUG")
SECRET_KEY = os.environ.get("SECRET_KEY", "")
ALLOWED_HOSTS = words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "chat",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "nousproject.csp.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "nousproject.not_found.PageNotFound",
]

ROOT_URLCONF = "nousproject.urls"
ASGI_APPLICATION = "nousproject.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

# DATABASE_URL chooses the database. SQLite gets WAL and transactions that take the write lock when they begin, so that
# concurrent writers wait instead of failing. PostgreSQL gets a pool, so that no request waits for a new connection, and
# timeouts, so that nothing hangs on a server that is gone, on a lock, or on a query. The pool is for pages and the
# admin: the chat's units of work have connections of their own (chat/store/executor.py).
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
}
DATA_DIR.mkdir(exist_ok=True)
DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"] |= {"OPTIONS": SQLITE_OPTIONS, "CONN_MAX_AGE": None}
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    SERVER_OPTIONS = {
        "pool": {"min_size": 1, "max_size": 10, "timeout": 5},
        "connect_timeout": 3,
        "tcp_user_timeout": 10_000,
        "options": "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s",
    }
    DATABASES["default"]["OPTIONS"] = SERVER_OPTIONS | DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# REDIS_URL chooses the channel layer: one server, or several, which share the conversations among them. Without Redis,
# the site must run in one process.
if redis_urls := words("REDIS_URL"):
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "chat.channel_layer.RedisLayer",
            "CONFIG": {
                # Protocol 3 is redis-py's default, and makes it format every message that arrives for a debug log.
                "hosts": [
                    {"address": url, "protocol": 2, "socket_timeout": 5, "socket_connect_timeout": 3}
                    for url in redis_urls
                ],
                "prefix": os.environ.get("REDIS_PREFIX", "nous"),
            },
        }
    }
else:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            "CONFIG": {"capacity": 1000},
        }
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
DEMO_ACCOUNT = flag("DEMO_ACCOUNT")
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/chat/"
LOGOUT_REDIRECT_URL = "/accounts/login/"

LANGUAGE_CODE = "en"  # for browsers that ask for none of LANGUAGES
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
MEDIA_ROOT = DATA_DIR / "media"  # attachments; has no URL of its own, chat/api/attachments.py serves them
STATICFILES_DIRS = [BASE_DIR / "static"]
if not DEBUG:
    # After the middlewares that add security headers, which static files get as well. There is none for
    # Cross-Origin-Resource-Policy: the sandboxed frames of diagrams and documents, which have no origin, load scripts.
    MIDDLEWARE.insert(2, "whitenoise.middleware.WhiteNoiseMiddleware")
    MIDDLEWARE.append("nousproject.one_thread.in_one_thread")
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "nousproject.static.HashedStaticFiles"},
    }
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = not flag("PLAIN_HTTP")
    SECURE_HSTS_SECONDS = 0 if flag("PLAIN_HTTP") else 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not flag("PLAIN_HTTP")
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not flag("PLAIN_HTTP")

LOG_FORMAT = os.environ.get("LOG_FORMAT", "line")
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}. Choose line or json.")
logging.captureWarnings(LOG_FORMAT == "json")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "class": "chat.logs.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "chat.logs.JSONFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "nous_chat": {"level": os.environ.get("LOG_LEVEL", "INFO")},
        "django": {"handlers": []},  # without Django's own handler, which prints everything once more with DEBUG
        "uvicorn": {"handlers": []},  # the same; `--no-access-log` turns off its access log
    },
}

NOUS_CHAT: dict[str, object] = {
    "TITLE_MODEL": os.environ.get("NOUS_CHAT_TITLE_MODEL", "agent"),
    "METRICS_TOKEN": os.environ.get("NOUS_CHAT_METRICS_TOKEN", ""),
}
