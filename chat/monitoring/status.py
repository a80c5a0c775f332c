"""The state of the system around the chat, as this process sees it when it is asked: database, storage, disk, versions,
migrations, checks. What changes every second is in the reports.
"""

import platform
import shutil
import time
from importlib.metadata import PackageNotFoundError, version

from django.core import checks
from django.core.files.storage import FileSystemStorage
from django.db.migrations.executor import MigrationExecutor
from msgspec import Struct

from .. import database, logs
from ..models import attachment_storage

PACKAGES = ("Django", "channels", "channels-redis", "daphne", "uvicorn", "redis", "psycopg", "httpx", "msgspec")

MAX_MESSAGES = 50
"""How many migrations, and how many messages of checks, are listed."""

PROBE = "nous-chat-status"
"""The name of a file that the storage is asked for. It need not exist."""


class CheckMessage(Struct, frozen=True):
    id: str
    level: int
    """As Python's levels of logging."""
    message: str
    hint: str


class Status(Struct, frozen=True):
    database: str
    """Its kind and version."""
    database_seconds: float
    """How long a statement took."""
    storage: str
    """The class of the attachments' storage."""
    storage_seconds: float | None
    """How long it took to answer; None if it failed."""
    disk_free: int | None
    """Bytes, of the disk with the attachments. None if they are somewhere else."""
    disk_total: int | None
    versions: dict[str, str]
    migrations: list[str]
    """Those that are not applied, of all apps in the chat's database."""
    checks: list[CheckMessage]
    """What `manage.py check --deploy` warns of, unless it is silenced."""


def read_status(app_version: str) -> Status:
    """Synchronous; takes about a second. Raises what the database raises."""
    connection = database.connection()
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    database_seconds = time.perf_counter() - began
    numbers = ".".join(map(str, connection.get_database_version()))
    storage, storage_seconds = attachment_storage(), _probe_storage()
    usage = _find_disk(storage)
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Status(
        database=f"{connection.display_name} {numbers}",
        database_seconds=database_seconds,
        storage=type(storage).__name__,
        storage_seconds=storage_seconds,
        disk_free=None if usage is None else usage[0],
        disk_total=None if usage is None else usage[1],
        versions={"nous-chat": app_version, "Python": platform.python_version(), **_find_versions()},
        migrations=[f"{migration.app_label}.{migration.name}" for migration, _ in plan][:MAX_MESSAGES],
        checks=_run_checks(),
    )


def _probe_storage() -> float | None:
    began = time.perf_counter()
    try:
        attachment_storage().exists(PROBE)
    except Exception:  # whatever the storage of a site raises
        return None
    return time.perf_counter() - began


def _find_disk(storage: object) -> tuple[int, int] | None:
    if not isinstance(storage, FileSystemStorage):
        return None
    try:
        usage = shutil.disk_usage(storage.location)
    except OSError:  # the folder is made with the first file
        usage = shutil.disk_usage("/")
    return usage.free, usage.total


def _find_versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _run_checks() -> list[CheckMessage]:
    found = [each for each in checks.run_checks(include_deployment_checks=True) if not each.is_silenced()]
    return [
        CheckMessage(
            str(each.id), each.level, logs.hide_secrets(str(each.msg)), logs.hide_secrets(str(each.hint or ""))
        )
        for each in sorted(found, key=lambda each: -each.level)[:MAX_MESSAGES]
    ]
