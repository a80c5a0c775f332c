"""Erasing a user: a scan of every table, index, and file finds neither their words nor their name."""

import json
import uuid
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from chat import store
from chat.conf import AgentConf
from chat.documents.changesets import ChangeSet
from chat.models import (
    AgentVersion,
    Conversation,
    Document,
    DocumentProposal,
    DocumentUpdate,
    Erasure,
    Hold,
    Message,
    Participant,
    Run,
    Spending,
    ToolCall,
)

from ..support.everything import WORDS, make_everything
from ..support.store_helpers import HOST, begin, end, post, refused

NEEDLES = (WORDS.lower(), "qmarchetti", "quillon", "marchetti")


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def dump(tmp_path: Path) -> bytes:
    """Everything that the database holds, with the parts of its indexes that hold words."""
    if connection.vendor == "sqlite":
        file = tmp_path / f"{uuid.uuid4()}.sqlite3"
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(file)])  # what is left when freed pages are gone
        return file.read_bytes()
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            found += [row[0] for row in cursor.fetchall()]
    return "\n".join(found).encode()


def scan(tmp_path: Path, media: Path) -> set[str]:
    """The needles that are anywhere."""
    files = [file for file in media.rglob("*") if file.is_file()]
    everything = b"\n".join([dump(tmp_path), *(file.name.encode() + file.read_bytes() for file in files)]).lower()
    return {needle for needle in NEEDLES if needle.encode() in everything}


def erase(user: Any, **options: Any) -> dict[str, int]:
    """Erase, after the dry run has said the same."""
    planned = store.plan_erasure(user)
    *_steps, numbers = store.erase_user(user, **options)
    assert numbers == planned
    return numbers


def make_person(django_user_model: Any) -> Any:
    return django_user_model.objects.create_user(
        "qmarchetti", "qmarchetti@example.org", "x", first_name="Quillon", last_name="Marchetti"
    )


def share_a_document(room: Conversation, mine: Any, theirs: Any) -> Document:
    """Both have changed it. The user's word is only in its history; what they wrote is still visible."""
    made = store.create_document(mine.pk, room.pk, store.NewDocument("Plan", text=f"{WORDS} visible"))
    for user, version, changes in (
        (theirs, 1, [[len(WORDS) + 1], 7]),
        (mine, 2, [7, [0, " text"]]),
        (theirs, 3, [12, [0, "!"]]),
    ):
        store.push_changes(user.pk, room.pk, made.id, version, ChangeSet.parse(changes), uuid.uuid4())
    return Document.objects.get(pk=made.id)


@pytest.mark.django_db(transaction=True)
def test_nothing_of_the_words_and_the_name_is_left(
    people: Any, django_user_model: Any, tmp_path: Path, media: Path
) -> None:
    user, bob = make_person(django_user_model), people["bob"]
    make_everything(user, bob)
    lone = store.create_conversation(user)
    row = Conversation.objects.get(pk=lone.id)
    end(begin(user, row, f"{WORDS} alone"), text=f"You said {WORDS}")
    theirs = Conversation.objects.get(pk=store.create_conversation(bob).id)
    Conversation.objects.filter(pk=theirs.pk).update(answers="always")
    store.add_participant(bob.pk, theirs.pk, "qmarchetti", "member")
    question = post(bob, theirs, "Who is here?")
    assert question.start is not None
    started = store.start_run(question.start, HOST)
    assert started is not None
    end(started, text="Quillon Marchetti (QMARCHETTI) is here.")
    end(begin(user, theirs, f"{WORDS}!"), text=f"{WORDS}?")
    run = Run.objects.filter(conversation=theirs).order_by("created_at")[0]
    ToolCall.objects.create(run=run, call_id="1", name="send", status="rejected", decided_by=user, reason=WORDS)
    document = share_a_document(theirs, user, bob)
    store.name_version(bob.pk, theirs.pk, document.pk, 2, "For Quillon Marchetti")
    store.change_document(bob.pk, theirs.pk, document.pk, store.DocumentChanges(title="Plan of qmarchetti"))
    for launched_by, changes in ((user, [7, [0, WORDS]]), (bob, [[0, "more", ""], 7])):
        asked = Run.objects.filter(conversation=theirs, launched_by=launched_by).first()
        DocumentProposal.objects.create(document=document, version=2, changes=changes, run=asked)
    own = store.create_document(user.pk, theirs.pk, store.NewDocument("Notes", text=WORDS))
    for number in (document.pk, own.id):
        selection = {"document": str(number), "version": 1, "from": 0, "to": 8, "title": "Plan", "text": WORDS}
        asked_about = post(bob, theirs, "What does this mean?").message
        Run.objects.filter(status__in=Run.ACTIVE).update(status="completed")
        Message.objects.filter(pk=asked_about.id).update(selection=selection)
    store.create_agent(None, "clerk", AgentConf(name="Clerk"))
    AgentVersion.objects.update(saved_by=user)
    store.list_participants(bob.pk, theirs.pk)
    released = store.place_hold(None, "Case against Quillon Marchetti", user=user.pk)
    store.release_hold(None, released)
    for about, key in ((user, str(user.pk)), (theirs, str(theirs.pk))):
        LogEntry.objects.create(
            user=bob,
            content_type=ContentType.objects.get_for_model(about),
            object_id=key,
            object_repr="qmarchetti",
            action_flag=CHANGE,
            change_message='["Read, because Quillon Marchetti complained"]',
        )
    assert scan(tmp_path, media) == set(NEEDLES), "the scan can find"

    erase(user)

    assert scan(tmp_path, media) == set()
    assert not django_user_model.objects.filter(pk=user.pk).exists()
    assert not Conversation.objects.filter(pk=lone.id).exists()
    assert AgentVersion.objects.get().saved_by is None
    page = store.list_messages(bob.pk, theirs.pk, None, 20)[0]
    texts = [message.text for message in page]
    assert "deleted account (deleted account) is here." in texts
    assert "bob added deleted account." in texts
    assert texts.count("") == 2, "the question and its answer are empty places"
    opened = store.get_document(bob.pk, document.pk)
    assert (opened.version, opened.text) == (4, "visible text!")
    assert opened.title == "Plan of deleted account"
    names = DocumentUpdate.objects.filter(document=document).order_by("version").values_list("name", flat=True)
    assert list(names) == ["", "For deleted account", "", ""]
    (proposal,) = store.list_proposals(bob.pk, document.pk)
    assert ChangeSet.parse(proposal.changes).apply(opened.text) == "more\nvisible text!", "it still fits"
    assert proposal.version == opened.version
    log = store.list_updates(bob.pk, document.pk, 0).updates
    assert [each.changes for each in log] == [[[0, "visible text!"]], [13], [13], [13]]
    assert [each.author is None for each in log] == [True, False, True, False]
    pushed = store.push_changes(bob.pk, theirs.pk, document.pk, 4, ChangeSet.parse([13, [0, "?"]]), None)
    assert pushed.update.version == 5


@pytest.mark.django_db
def test_bills_keep_their_figures(people: Any, room: Conversation, django_user_model: Any) -> None:
    user = make_person(django_user_model)
    make_everything(user, people["bob"])
    runs = Run.objects.order_by("pk").values("id", "model", "total_tokens", "cost", "status", "created_at")
    before = list(runs)
    spent = sum(Spending.objects.values_list("cost", flat=True), Decimal(0))
    erase(user)
    assert list(runs) == before
    assert sum(Spending.objects.values_list("cost", flat=True), Decimal(0)) == spent
    assert Spending.objects.filter(user=None).count() == 2


@pytest.mark.django_db
def test_the_receipt_says_how_much_and_by_whom_but_not_who(people: Any, room: Conversation) -> None:
    post(people["bob"], room, "Hello")
    Run.objects.update(status="completed")
    people["eve"].user_permissions.add(Permission.objects.get(codename="manage_retention"))
    eve = type(people["eve"]).objects.get(pk=people["eve"].pk)
    with refused("forbidden"):
        list(store.erase_user(people["bob"], people["ada"]))
    numbers = erase(people["bob"], by=eve)
    (receipt,) = Erasure.objects.all()
    assert receipt.erased_by == eve
    assert receipt.finished_at is not None
    assert receipt.counts == numbers
    assert (numbers["messages"], numbers["conversations"]) == (1, 0)
    assert "bob" not in json.dumps(list(Erasure.objects.values()), default=str)


@pytest.mark.django_db
@pytest.mark.parametrize("on", ["user", "conversation"])
def test_under_a_hold_nothing_at_all_is_erased(people: Any, on: str) -> None:
    room = make_everything(people["ada"], people["bob"])
    store.create_conversation(people["ada"])
    key = store.place_hold(None, "Case", **({"user": people["ada"].pk} if on == "user" else {"conversation": room.pk}))
    models = list(apps.get_app_config("nous_chat").get_models())
    before = {model: list(model._base_manager.order_by("pk").values()) for model in models}
    for work in (store.plan_erasure, lambda user: list(store.erase_user(user))):
        with refused("conflict"):
            work(people["ada"])
    assert {model: list(model._base_manager.order_by("pk").values()) for model in models} == before
    people["ada"].refresh_from_db()
    assert people["ada"].is_active
    store.release_hold(None, key)
    erase(people["ada"])
    assert Hold.objects.get().user is None


@pytest.mark.django_db
def test_it_can_be_cut_off_and_called_again(
    people: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, media: Path
) -> None:
    monkeypatch.setattr("chat.store.erasure.BATCH_SIZE", 1)
    user = people["ada"]
    for _ in range(2):
        make_everything(user, people["bob"])
    length = sum(store.plan_erasure(user).values())
    for stop in range(0, length, 3):
        steps = store.erase_user(user)
        for _, _numbers in zip(range(stop % 5 + 1), steps, strict=False):
            pass
        del steps
        if not type(user).objects.filter(pk=user.pk).exists():
            break
    else:
        list(store.erase_user(user))
    assert not Message.objects.filter(text__contains=WORDS).exclude(author=people["bob"]).exists()
    assert not DocumentUpdate.objects.exists()


@pytest.mark.django_db
def test_a_running_answer_is_stopped_first(people: Any, room: Conversation) -> None:
    started = begin(people["ada"], room)
    with refused("conflict"):
        list(store.erase_user(people["ada"]))
    run = Run.objects.get()
    assert run.stop_requested_at is not None
    end(started, "stopped")
    people["ada"].refresh_from_db()
    assert not people["ada"].is_active
    erase(people["ada"])
    assert Participant.objects.get().role == "owner", "the conversation has a new owner"


@pytest.mark.django_db
def test_copies_in_forks_are_erased_as_well(people: Any, room: Conversation) -> None:
    message = post(people["ada"], room, f"{WORDS} here").message
    Run.objects.update(status="completed", finished_at=timezone.now() - timedelta(days=1))
    fork = store.fork_conversation(people["bob"].pk, room.pk, message.id)
    erase(people["ada"])
    assert list(Message.objects.filter(conversation=fork.id).values_list("text", flat=True)) == [""]


@pytest.mark.django_db
def test_the_command_erases_and_says_what(people: Any, room: Conversation, capsys: Any) -> None:
    end(begin(people["bob"], room, "Hello"))
    call_command("nous_erase", "bob", dry_run=True, json=True)
    planned = json.loads(capsys.readouterr().out)
    assert (planned["dry_run"], planned["messages"], planned["answers"]) == (True, 1, 1)
    assert type(people["bob"]).objects.filter(username="bob").exists()
    call_command("nous_erase", "bob", json=True)
    assert json.loads(capsys.readouterr().out) == planned | {"dry_run": False}
    with pytest.raises(CommandError, match="no user 'bob'"):
        call_command("nous_erase", "bob")
    store.place_hold(None, "Case", user=people["eve"].pk)
    with pytest.raises(CommandError, match="hold"):
        call_command("nous_erase", "eve")
    call_command("nous_erase", "ada")
    assert "Erased:\n  conversations: 1" in capsys.readouterr().out
