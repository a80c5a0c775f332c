"""The site's settings, for tests: a key, quick passwords, and the demo as the model."""

import os

os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("DEBUG", "1")
os.environ["NOUS_CHAT_MODEL"] = "demo:tour"
os.environ.setdefault("REDIS_PREFIX", os.urandom(4).hex())  # another suite on the same Redis has people 1, 2, 3 as well

from nousproject.settings import *  # noqa: F403

DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
