"""How much a user can store: counted with each upload and fork, freed by deletion, each file once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from chat import store
from chat.models import Attachment, Conversation, Message
from chat.protocol.errors import Refused
from chat.store.quotas import LEAST_CHARGE

from ..support.store_helpers import post, refused

KIB = 1024


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    settings.NOUS_CHAT = {"STORAGE_BYTES_PER_USER": 100 * KIB}
    return tmp_path


def upload(user: Any, room: Conversation, size: int = 40 * KIB) -> Any:
    return store.upload_attachment(user, room.pk, "a.txt", b"x" * size)


def test_a_file_that_does_not_fit_is_refused_with_the_numbers(people: Any, room: Conversation, folder: Path) -> None:
    elsewhere = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    upload(people["ada"], room)
    upload(people["ada"], elsewhere)
    with pytest.raises(Refused, match="take 80 KB of 100 KB, and this needs 40 KB more") as refusal:
        upload(people["ada"], room)
    assert refusal.value.code == "conflict"
    assert upload(people["ada"], room, 20 * KIB), "it fits exactly"
    assert upload(people["bob"], room), "each user has a quota of their own"
    assert sum(path.is_file() for path in folder.rglob("*")) == 4
    with translation.override("de"), pytest.raises(Refused, match="belegen 100 KB von 100 KB"):
        upload(people["ada"], room)


def test_small_files_count_as_more_than_they_are(people: Any, room: Conversation) -> None:
    for _ in range(100 * KIB // LEAST_CHARGE):
        upload(people["ada"], room, 1)
    with refused("conflict"):
        upload(people["ada"], room, 1)


def test_without_a_quota_nothing_is_counted(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"STORAGE_BYTES_PER_USER": None}
    for _ in range(5):
        upload(people["ada"], room)


def test_deleting_files_makes_room(people: Any, room: Conversation, client: Client) -> None:
    sent, unsent = upload(people["ada"], room), upload(people["ada"], room)
    message = post(people["ada"], room, attachments=[sent.id]).message
    client.force_login(people["ada"])
    assert client.delete(unsent.url).status_code == 204
    upload(people["ada"], room)
    store.delete_message(people["ada"].pk, room.pk, message.id)
    with refused("conflict"):
        upload(people["ada"], room)  # it can be restored, so the file is still stored
    Message.objects.update(deleted_at=timezone.now() - timedelta(hours=1))
    while store.erase_expired():
        pass
    upload(people["ada"], room)


def test_a_fork_counts_for_the_user_who_makes_it_and_own_files_count_once(people: Any, room: Conversation) -> None:
    made = upload(people["ada"], room, 60 * KIB)
    message = post(people["ada"], room, attachments=[made.id]).message
    for _ in range(3):
        store.fork_conversation(people["ada"].pk, room.pk, message.id)
        store.fork_conversation(people["bob"].pk, room.pk, message.id)
    assert upload(people["ada"], room), "her forks share the file, and others' forks are not hers"
    with refused("conflict"):
        upload(people["bob"], room, 41 * KIB)
    Attachment.objects.filter(conversation=room).delete()
    with refused("conflict"):
        upload(people["ada"], room, 41 * KIB)  # her forks keep the file


def test_a_fork_whose_files_do_not_fit_is_refused(people: Any, room: Conversation) -> None:
    message = post(people["ada"], room, attachments=[upload(people["ada"], room, 60 * KIB).id]).message
    upload(people["bob"], room, 41 * KIB)
    before = Conversation.objects.count()
    with refused("conflict"):
        store.fork_conversation(people["bob"].pk, room.pk, message.id)
    assert Conversation.objects.count() == before


def test_counting_reads_one_index(people: Any, room: Conversation) -> None:
    with CaptureQueriesContext(connection) as queries:
        upload(people["ada"], room)
    (counting,) = [query["sql"] for query in queries if "SUM(" in query["sql"]]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # What a plan costs depends on statistics. Only a plan that reads an index and no row is left.
            for scan in ("seqscan", "bitmapscan", "indexscan"):
                cursor.execute(f"SET LOCAL enable_{scan} = off")
            cursor.execute(f"EXPLAIN {counting}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {counting}")
        plan = str(cursor.fetchall())
    assert "nous_chat_attachment_storage" in plan
    assert "INDEX ONLY" in plan.upper() or "COVERING INDEX" in plan.upper()


def test_a_file_whose_storage_fails_leaves_no_row(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr("django.core.files.storage.FileSystemStorage.save", fail)
    with pytest.raises(OSError, match="no space"):
        upload(people["ada"], room)
    assert not Attachment.objects.exists()


def test_a_storage_may_choose_the_name(people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.core.files.storage.FileSystemStorage.save", lambda *_: "nous_chat/elsewhere")
    upload(people["ada"], room)
    assert Attachment.objects.get().file.name == "nous_chat/elsewhere"
