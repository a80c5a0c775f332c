"""Holds: what they cover, who may place them, and that nobody can delete what they cover."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import transaction
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from chat import store
from chat.documents.changesets import ChangeSet
from chat.models import (
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    DocumentUpdate,
    Hold,
    Message,
    Participant,
)

from ..support.everything import make_everything, make_guest
from ..support.store_helpers import post, refused

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(days=400)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def hold(**on: Any) -> uuid.UUID:
    return store.place_hold(None, "Case 7", **on)


def rows() -> dict[str, Any]:
    """All rows of the chat, by table."""
    models = apps.get_app_config("nous_chat").get_models()
    return {model.__name__: list(model._base_manager.order_by("pk").values()) for model in models}


def age() -> None:
    """Let everything be old, and what is deleted be deleted long ago."""
    Conversation.objects.update(updated_at=LONG_AGO, created_at=LONG_AGO)
    for model in (Conversation, Message, Document):
        model._base_manager.filter(deleted_at__isnull=False).update(deleted_at=LONG_AGO)
    Attachment.objects.update(created_at=LONG_AGO)


def prune() -> store.Erased:
    return sum(store.prune(timezone.now()), store.Erased())


ON: dict[str, Callable[[Any, Conversation], dict[str, Any]]] = {
    "the conversation": lambda people, room: {"conversation": room.pk},
    "its owner": lambda people, room: {"user": people["ada"].pk},
    "another participant": lambda people, room: {"user": people["bob"].pk},
}


@pytest.mark.parametrize("on", ON)
def test_under_a_hold_nothing_is_deleted_whatever_people_do(
    people: Any, settings: Any, media: Path, on: str, django_capture_on_commit_callbacks: Any
) -> None:
    settings.NOUS_CHAT = {"RETENTION": [{"max_days": 30}]}
    room = make_everything(people["ada"], people["bob"])
    key = hold(**ON[on](people, room))
    ada = people["ada"]
    with django_capture_on_commit_callbacks(execute=True):
        unsent = Attachment.objects.get(message=None)
        store.delete_unsent_attachment(ada.pk, unsent.pk)
        store.delete_message(ada.pk, room.pk, Message.objects.get(seq=1).pk)
        proposal = DocumentProposal.objects.get(decided_at=None)
        store.resolve_proposal(ada.pk, room.pk, proposal.document_id, proposal.pk)
        store.delete_document(ada.pk, room.pk, proposal.document_id)
        store.delete_conversation(ada.pk, room.pk)
        age()
        before, files = rows(), sorted(media.rglob("*"))
        assert prune().total == 0
        for user in (ada, people["bob"]):
            with pytest.raises(ProtectedError), transaction.atomic():
                user.delete()
        with pytest.raises(ProtectedError), transaction.atomic():
            Conversation.objects.filter(pk=room.pk).delete()
    assert rows() == before
    assert DocumentProposal.objects.count() == 2, "what people have decided on is kept as well"
    assert sorted(media.rglob("*")) == files
    store.release_hold(None, key)
    with django_capture_on_commit_callbacks(execute=True):
        assert prune().conversations == 1
        ada.delete()
    assert not Message.objects.exists()
    assert not [file for file in media.rglob("*") if file.is_file()]
    (released,) = Hold.objects.all()
    assert (released.reason, released.conversation_id) == ("Case 7", None)
    assert released.released_at is not None


def test_people_do_not_see_what_is_kept(people: Any) -> None:
    room = make_everything(people["ada"], people["bob"])
    hold(conversation=room.pk)
    message = Message.objects.get(seq=1)
    file = Attachment.objects.filter(message=message).first()
    assert file is not None
    store.delete_message(people["ada"].pk, room.pk, message.pk)
    age()
    assert prune().total == 0
    assert Message.objects.get(pk=message.pk).text, "it is kept"
    page = store.list_messages(people["bob"].pk, room.pk, None, 10)[0]
    assert [shown.text for shown in page if shown.id == message.pk] == [""]
    with refused("not_found"):
        store.get_attachment(people["bob"].pk, file.pk)
    with refused("not_found"):
        store.list_edits(people["bob"].pk, room.pk, message.pk)
    store.delete_conversation(people["ada"].pk, room.pk)
    with refused("not_found"):
        store.get_conversation(people["ada"].pk, room.pk)
    assert not store.list_conversations(people["ada"].pk)[0]


def test_a_hold_on_a_person_covers_where_they_have_written_before(people: Any, room: Conversation) -> None:
    post(people["bob"], room)
    other = store.create_conversation(people["ada"])
    Participant.objects.filter(user=people["bob"]).delete()
    hold(user=people["bob"].pk)
    for key in (room.pk, other.id):
        store.delete_conversation(people["ada"].pk, key)
    age()
    assert prune().conversations == 1
    assert Conversation.objects.get().pk == room.pk


def test_a_hold_on_a_person_covers_where_they_have_changed_a_document_before(people: Any, room: Conversation) -> None:
    ada, bob = people["ada"], people["bob"]
    document = store.create_document(ada.pk, room.pk, store.NewDocument("Plan", text="one"))
    store.push_changes(bob.pk, room.pk, document.id, 1, ChangeSet.parse([3, [0, " two"]]), None)
    Participant.objects.filter(user=bob).delete()
    key = hold(user=bob.pk)
    store.delete_conversation(ada.pk, room.pk)
    age()
    assert prune().total == 0
    assert Document.objects.get().text == "one"
    store.release_hold(None, key)
    hold(conversation=room.pk)
    assert store.user_is_held(bob.pk), "the log of the held conversation names them"
    with pytest.raises(ProtectedError), transaction.atomic():
        bob.delete()


def test_a_hold_that_comes_while_a_long_log_is_erased_keeps_the_rest(people: Any, room: Conversation) -> None:
    document = store.create_document(people["ada"].pk, room.pk, store.NewDocument("Plan", text="one"))
    DocumentUpdate.objects.bulk_create(
        DocumentUpdate(document_id=document.id, version=version, changes=[3]) for version in range(2, 400)
    )
    store.delete_document(people["ada"].pk, room.pk, document.id)
    Document.objects.update(deleted_at=LONG_AGO)
    erasing = store.prune(timezone.now())
    assert next(erasing).total
    hold(conversation=room.pk)
    left = DocumentUpdate.objects.count()
    assert not sum(erasing, store.Erased()).total
    assert DocumentUpdate.objects.count() == left > 0


def test_guests_under_a_hold_are_not_erased(people: Any, room: Conversation) -> None:
    make_guest(people["bob"])
    people["bob"].nous_guest.created_at = LONG_AGO
    people["bob"].nous_guest.save()
    age()
    key = hold(user=people["bob"].pk)
    assert store.plan_pruning(timezone.now()) == prune() == store.Erased()
    store.release_hold(None, key)
    key = hold(conversation=room.pk)
    assert prune() == store.Erased()
    people["bob"].refresh_from_db()
    assert people["bob"].is_active
    store.release_hold(None, key)
    assert prune().guests == 1


def test_only_those_with_the_permission_place_and_release_holds(people: Any, room: Conversation) -> None:
    for by in (people["eve"], people["ada"]):
        with refused("forbidden"):
            store.place_hold(by, "Case", conversation=room.pk)
    people["eve"].user_permissions.add(Permission.objects.get(codename="manage_retention"))
    eve = type(people["eve"]).objects.get(pk=people["eve"].pk)
    key = store.place_hold(eve, " Case ", conversation=room.pk)
    with refused("forbidden"):
        store.release_hold(people["ada"], key)
    store.release_hold(eve, key)
    with refused("not_found"):
        store.release_hold(eve, key)
    (row,) = Hold.objects.all()
    assert (row.placed_by, row.released_by, row.reason) == (eve, eve, "Case")
    with refused("empty"):
        store.place_hold(eve, " ", conversation=room.pk)
    with refused("invalid"):
        store.place_hold(eve, "Case")
    with refused("not_found"):
        store.place_hold(eve, "Case", conversation=uuid.uuid4())
    with refused("not_found"):
        store.place_hold(eve, "Case", user=0)


def test_the_admin_deletes_nothing_that_is_held(people: Any, admin_client: Client) -> None:
    room = make_everything(people["ada"], people["bob"])
    Message.objects.update(deleted_at=None)
    key = hold(user=people["ada"].pk)
    document = room.documents.filter(deleted_at=None)[0]
    before = rows()
    confirmed = {"post": "yes", "action": "delete_selected", "delete_confirm": "1"}
    for name, row in (("conversation", room), ("document", document)):
        address = reverse(f"admin:nous_chat_{name}_delete", args=[row.pk])
        response = admin_client.post(address, confirmed)
        assert "a hold keeps it" in response.content.decode(), name
        everything = reverse(f"admin:nous_chat_{name}_changelist")
        response = admin_client.post(everything, confirmed | {"_selected_action": str(row.pk)})
        assert "a hold keeps it" in response.content.decode(), name
    response = admin_client.post(reverse("admin:auth_user_delete", args=[people["ada"].pk]), confirmed)
    assert response.status_code == 200, "it says what is protected"
    assert rows() == before
    store.release_hold(None, key)
    assert (
        admin_client.post(reverse("admin:nous_chat_conversation_delete", args=[room.pk]), confirmed).status_code == 302
    )
    assert not Message.objects.exists()


def test_the_command_places_lists_and_releases(people: Any, room: Conversation, capsys: Any) -> None:
    call_command("nous_hold", conversation=room.pk, reason="Case 7")
    key = capsys.readouterr().out.strip()
    call_command("nous_hold", user="bob", reason="Case 8")
    capsys.readouterr()
    call_command("nous_hold")
    listed = capsys.readouterr().out
    assert f"{room.pk}  by the command line: Case 7" in listed
    assert "bob  by the command line: Case 8" in listed
    call_command("nous_hold", release=uuid.UUID(key))
    call_command("nous_hold")
    assert "Case 7" not in capsys.readouterr().out
    for options, problem in (
        ({"user": "nobody", "reason": "x"}, "no user"),
        ({"user": "bob"}, "needs a reason"),
        ({"release": uuid.uuid4()}, "no such hold"),
    ):
        with pytest.raises(CommandError, match=problem):
            call_command("nous_hold", **options)
