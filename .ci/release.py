"""Build the distributions into dist/, check their contents, and try the wheel in an empty Django project. Publishes
nothing.

`make release` runs it with the environment's Python, `make package` with `--package`, which leaves out the trial.
"""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "dist"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
[VERSION] = re.findall(r'^__version__ = "(.+)"$', (ROOT / "chat" / "__init__.py").read_text("utf-8"), re.MULTILINE)

REQUIRED = {
    "a template": "nous_chat/templates/nous_chat/base.html",
    "the page's script": "nous_chat/static/nous_chat/nous-chat.js",
    "a vendored library": "nous_chat/static/nous_chat/vendor/manifest.json",
    "a catalogue": "nous_chat/locale/de/LC_MESSAGES/djangojs.mo",
    "a migration": "nous_chat/migrations/0001_initial.py",
    "the marker of inline types": "nous_chat/py.typed",
}

SETTINGS = """
INSTALLED_APPS = ["daphne", *INSTALLED_APPS, "channels", "nous_chat"]
ASGI_APPLICATION = "trial.asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}}
STATIC_ROOT = BASE_DIR / "collected"
DATABASES["default"]["OPTIONS"] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
}
NOUS_CHAT = {"MODEL": "demo:tour"}
ALLOWED_HOSTS = ["testserver"]
"""
URLS = """
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("chat/", include("nous_chat.urls"))]
"""
ASGI = """
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "trial.settings")
http = get_asgi_application()

from nous_chat import asgi as chat

application = chat.application(http)
"""
REQUESTS = """
import nous_chat
from django.contrib.auth.models import User
from django.test import Client
from nous_chat import store
import trial.asgi

assert "site-packages" in nous_chat.__file__, nous_chat.__file__
ada = User.objects.create_superuser("ada", password="correct horse")
conversation = store.create_conversation(ada, title="Trial")
client = Client()
client.force_login(ada)
for address in ("/chat/", conversation.url, "/chat/api/conversations/", "/admin/nous_chat/run/"):
    response = client.get(address)
    assert response.status_code == 200, (address, response.status_code)
assert b"<nous-chat" in client.get(conversation.url).content
print("pages answer")
"""


def main() -> None:
    wheel, sdist = build()
    check_wheel(wheel)
    check_sdist(sdist)
    if "--package" not in sys.argv[1:]:
        try_out(wheel)
        if f"## [{VERSION}]" not in (ROOT / "CHANGELOG.md").read_text("utf-8"):
            say(f"CHANGELOG.md has no section for {VERSION} yet: add it before you publish")
    say(f"{wheel.name} and {sdist.name} are ready in {OUT.relative_to(ROOT)}")


def build() -> tuple[Path, Path]:
    """Build from a copy of the tracked files: an earlier build's metadata would hide that files are missing."""
    say("build")
    shutil.rmtree(OUT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in run(["git", "ls-files"], cwd=ROOT).splitlines():
            copy = Path(folder) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy)
        run(["uv", "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", OUT, folder])
    [wheel], [sdist] = OUT.glob("*.whl"), OUT.glob("*.tar.gz")
    return wheel, sdist


def check_wheel(wheel: Path) -> None:
    """The wheel holds exactly the tracked files of `chat`, as `nous_chat`, and its metadata is complete."""
    say("check the wheel")
    tracked = {f"nous_{name}" for name in run(["git", "ls-files", "chat"], cwd=ROOT).splitlines()}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(about))
    for what, name in REQUIRED.items():
        expect(name in names, f"{what} ({name}) is missing")
    packaged = {name for name in names if ".dist-info/" not in name}
    expect(packaged == tracked, f"other files than in Git: {sorted(packaged ^ tracked)}")
    expect(any(name.endswith("/licenses/LICENSE") for name in names), "the licence is missing")
    expect(metadata["Version"] == VERSION, "the version differs from chat/__init__.py")
    expect(metadata["License-Expression"] == PROJECT["license"], "the licence is not named")
    expect(metadata["Requires-Python"] == PROJECT["requires-python"], "the Python version is not named")
    expect(metadata["Description-Content-Type"] == "text/markdown", "the README is not Markdown")
    expect(len(metadata.get_payload()) > 1000, "the README is missing")
    required = {line.lower() for line in metadata.get_all("Requires-Dist", [])}
    expect(set(PROJECT["dependencies"]) <= required, f"requirements are missing: {required}")


def check_sdist(sdist: Path) -> None:
    """`uv build` made the wheel from the source distribution, so that it is complete; it holds no tests."""
    say("check the source distribution")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expect({"pyproject.toml", "README.md", "LICENSE", "setup.py"} <= names, "a project file is missing")
    strangers = sorted(name for name in names if name.startswith(("tests/", "nousproject/", "var/")))
    expect(not strangers, f"it holds {strangers[:5]}")


def try_out(wheel: Path) -> None:
    """Install the wheel into a new environment and use it in the project that `startproject` makes."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        python = place / "venv" / "bin" / "python"
        say("install the wheel into a new environment")
        run(["uv", "venv", "--quiet", "--python", sys.executable, place / "venv"])
        locked = ["--constraint", ROOT / "requirements" / "base.txt"]
        run(["uv", "pip", "install", "--quiet", "--python", python, *locked, f"{wheel}[server]"])
        run([python, "-m", "django", "startproject", "trial", place])
        with (place / "trial" / "settings.py").open("a") as settings:
            settings.write(SETTINGS)
        (place / "trial" / "urls.py").write_text(URLS)
        (place / "trial" / "asgi.py").write_text(ASGI)
        commands = {
            "migrate": ["migrate", "--verbosity", "0"],
            "check": ["check", "--fail-level", "WARNING"],
            "compare the migrations with the models": ["makemigrations", "--check", "--dry-run"],
            "collect the static files": ["collectstatic", "--noinput", "--verbosity", "0"],
            "request the pages": ["shell", "--command", REQUESTS],
        }
        for what, arguments in commands.items():
            say(what)
            run([python, "manage.py", *arguments], cwd=place)
        say("ask the demo")
        answer = run([python, "manage.py", "nous_ask", "Hello", "--model", "demo:tour", "--jsonl"], cwd=place)
        expect('"type":"finish"' in answer.splitlines()[-1], f"the demo did not finish: {answer[-500:]}")


def run(command: list[str | Path], cwd: Path | None = None) -> str:
    """Run a program of the environment; return its output. Ends with that output if it fails."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "NOUS_", "PYTHON"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = inherited | {"PATH": path}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"{command[:4]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(true: bool, otherwise: str) -> None:
    if not true:
        sys.exit(f"release: {otherwise}")


def say(what: str) -> None:
    print(f"release: {what}", flush=True)


if __name__ == "__main__":
    main()
