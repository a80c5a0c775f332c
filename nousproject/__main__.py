"""`make run`: from a fresh clone to a chat in the browser. Migrates, creates the demo account, and serves."""

import os
import secrets
import socket
import sys
from pathlib import Path

DATA_DIR = Path(__file__).resolve().parent.parent / "var"


def main() -> None:
    DATA_DIR.mkdir(exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nousproject.settings")
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DEMO_ACCOUNT", "1")
    os.environ.setdefault("SECRET_KEY", _stored_secret("secret_key", 50))
    os.environ.setdefault("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
    os.environ.setdefault("NOUS_CHAT_MODEL", _model())
    port = os.environ.get("PORT") or "8000"
    _check_free(port)

    from .server import serve, use_uvloop

    use_uvloop()

    import django

    django.setup()

    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    password = _demo_account()
    print(f"Nous Chat    http://localhost:{port}/")
    print(f"Sign in      demo / {password}")
    print(f"Model        {_describe(os.environ['NOUS_CHAT_MODEL'])}", flush=True)

    serve(["--port", port, "--bind", "127.0.0.1", "--verbosity", "0"])


def _check_free(port: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except (OSError, ValueError, OverflowError) as error:
            sys.exit(f"Port {port} cannot be used ({error}). Choose another one: PORT=8001 make run")


def _stored_secret(name: str, size: int) -> str:
    """A random secret, kept in a file so that a restart logs nobody out."""
    file = DATA_DIR / name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(size))
    return file.read_text()


def _model() -> str:
    """The provider whose key is set, else a model server on this machine, else the demo."""
    from chat.engine.discover import find_local_model, model_from_environment

    return model_from_environment(os.environ) or find_local_model() or "demo:tour"


def _describe(model: str) -> str:
    if model.startswith("demo:"):
        return "none, the built-in demo answers. For a real model, set OPENAI_API_KEY or start Ollama."
    return model


def _demo_account() -> str:
    """Create or update the account `demo`. Returns its password: DEMO_PASSWORD, or a random one."""
    from django.contrib.auth import get_user_model

    password = os.environ.get("DEMO_PASSWORD") or _stored_secret("demo_password", 9)
    demo, _ = get_user_model().objects.get_or_create(username="demo", defaults={"is_staff": True, "is_superuser": True})
    if not demo.check_password(password):
        demo.set_password(password)
        demo.save()
    return password


if __name__ == "__main__":
    main()
