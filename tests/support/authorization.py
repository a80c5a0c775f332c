"""Who may do what: one conversation with everybody around it, and the expected answer to each request and command.

The tables are the rules. tests/api/test_authorization.py sends every request of `ADDRESSES`, and
tests/consumers/test_authorization.py every command of `COMMANDS`; both fail if an address, a method, or a command of
the chat is not in its table. A cell is the expected answer; with a `+`, it must change the database, without, it must
not.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.files.base import ContentFile
from django.db import connection, models
from django.utils import timezone

from chat import store
from chat.models import (
    ApiToken,
    Attachment,
    Conversation,
    Document,
    DocumentProposal,
    Invitation,
    Message,
    Participant,
    Removal,
    Run,
    ToolCall,
)

from .store_helpers import begin, end

SECRET = "Sesame"
"""In the title, in the texts, and in the file: nobody who cannot read the conversation may get it."""

ROLES = ("anonymous", "stranger", "viewer", "member", "owner", "removed", "deleted", "deactivated", "staff")
"""The columns. `stranger`: not in the conversation. `removed`: was a member. `deleted`: the owner of the conversation,
which is deleted. `deactivated`: a member whose account is. `staff`: not in the conversation, without permissions.
"""

READERS = {"viewer", "helper", "member", "owner"}

ADDRESSES = """
                                 anonymous stranger viewer member owner removed deleted deactivated staff
home                     GET     login     200      200    200    200   200     200     login       200
home                     HEAD    login     200      200    200    200   200     200     login       200
conversation             GET     login     404      200    200    200   404     404     login       404
conversation             HEAD    login     404      200    200    200   404     404     login       404
say                      GET     login     302      302    302    302   302     302     login       302
say                      POST    login     404      403    302+   302+  404     404     login       404
documents                GET     login     404      200    200    200   404     404     login       404
documents                HEAD    login     404      200    200    200   404     404     login       404
document                 GET     login     404      200    200    200   404     404     login       404
document                 HEAD    login     404      200    200    200   404     404     login       404
document                 POST    login     404      403    302+   302+  404     404     login       404
plain                    GET     login     200      200    200    200   200     200     login       200
begin                    POST    login     302+     302+   302+   302+  302+    302+    login       302+
guest                    GET     302       302      302    302    302   302     302     302         302
guest                    POST    302       302      302    302    302   302     302     302         302
join                     GET     login     200      200    200    200   403     404     login       200
join                     HEAD    login     200      200    200    200   403     404     login       200
join                     POST    login     302+     302    302    302   403     404     login       302+
tokens                   GET     login     200      200    200    200   200     200     login       200
tokens                   HEAD    login     200      200    200    200   200     200     login       200
tokens                   POST    login     201+     201+   201+   201+  201+    201+    login       201+
revoke-token             POST    login     404      404    404    302+  404     302+    login       404
attachment               GET     401       404      200    200    200   404     404     401         404
attachment               HEAD    401       404      200    200    200   404     404     401         404
attachment               DELETE  401       404      404    404    404   404     404     401         404
attachment:unsent        GET     401       404      404    404    200   404     404     401         404
attachment:unsent        HEAD    401       404      404    404    200   404     404     401         404
attachment:unsent        DELETE  401       404      404    404    204+  404     204+    401         404
dashboard                GET     login     403      403    403    403   403     403     login       403
dashboard                HEAD    login     403      403    403    403   403     403     login       403
dashboard-log            GET     login     403      403    403    403   403     403     login       403
dashboard-log            HEAD    login     403      403    403    403   403     403     login       403
dashboard-status         GET     login     403      403    403    403   403     403     login       403
dashboard-status         HEAD    login     403      403    403    403   403     403     login       403
dashboard-breaker        POST    login     403      403    403    403   403     403     login       403
diagram                  GET     200       200      200    200    200   200     200     200         200
preview                  GET     200       200      200    200    200   200     200     200         200
healthz                  GET     200       200      200    200    200   200     200     200         200
healthz                  HEAD    200       200      200    200    200   200     200     200         200
readyz                   GET     200       200      200    200    200   200     200     200         200
readyz                   HEAD    200       200      200    200    200   200     200     200         200
metrics                  GET     401       403      403    403    403   403     403     401         200
metrics                  HEAD    401       403      403    403    403   403     403     401         200
diagram                  HEAD    200       200      200    200    200   200     200     200         200
preview                  HEAD    200       200      200    200    200   200     200     200         200
api-token                GET     401       200      200    200    200   200     200     401         200
api-openapi              GET     200       200      200    200    200   200     200     200         200
api-asyncapi             GET     200       200      200    200    200   200     200     200         200
api-inbox-stream         GET     401       501      501    501    501   501     501     401         501
api-stream               GET     401       501      501    501    501   501     501     401         501
api-models               GET     401       200      200    200    200   200     200     401         200
api-completions          POST    401       501      501    501    501   501     501     401         501
api-responses            POST    401       501      501    501    501   501     501     401         501
api-ag-ui                POST    401       501      501    501    501   501     501     401         501
api-ai-sdk               POST    401       501      501    501    501   501     501     401         501
api-ai-sdk-stream        GET     401       501      501    501    501   501     501     401         501
api-ai-sdk-stop          POST    401       204      204    204    204   204     204     401         204
api-search               GET     401       200      200    200    200   200     200     401         200
api-participants         GET     401       404      200    200    200   404     404     401         404
api-participants         POST    401       404      403    403    201+  404     404     401         404
api-participant          PATCH   401       404      403    403    200+  404     404     401         404
api-participant          DELETE  401       404      403    403    204+  404     404     401         404
api-participant:owner    PATCH   401       404      403    403    409   404     404     401         404
api-participant:owner    DELETE  401       404      403    403    409   404     404     401         404
api-participant:self     DELETE  401       404      204+   204+   409   404     404     401         404
api-participant:self     PATCH   401       404      403    403    409   404     404     401         404
api-invitations          GET     401       404      403    403    200   404     404     401         404
api-invitations          POST    401       404      403    403    201+  404     404     401         404
api-invitation           DELETE  401       404      403    403    204+  404     404     401         404
api-conversations        GET     401       200      200    200    200   200     200     401         200
api-conversations        POST    401       201+     201+   201+   201+  201+    201+    401         201+
api-conversation         GET     401       404      200    200    200   404     404     401         404
api-conversation         PATCH   401       404      403    403    200+  404     404     401         404
api-conversation:agents  PATCH   401       404      403    403    200+  404     404     401         404
api-conversation:own     PATCH   401       404      200+   200+   200+  404     404     401         404
api-conversation         DELETE  401       404      403    403    204+  404     404     401         404
api-restore              POST    401       404      200    200    200   404     200+    401         404
api-fork                 POST    401       404      403    201+   201+  404     404     401         404
api-messages             GET     401       404      200    200    200   404     404     401         404
api-messages             POST    401       404      403    201+   201+  404     404     401         404
api-message              PATCH   401       404      403    403    200+  404     404     401         404
api-message              DELETE  401       404      403    403    200+  404     404     401         404
api-message-restore      POST    401       404      403    200    200   404     404     401         404
api-message-choose       POST    401       404      403    409    409   404     404     401         404
api-read                 POST    401       404      200+   200+   200   404     404     401         404
api-runs                 POST    401       404      403    409    409   404     404     401         404
api-run-stop             POST    401       404      403    403    200+  404     404     401         404
api-decide               POST    401       404      403    403    200+  404     404     401         404
api-feedback             GET     401       404      200      200    200   404     404     401         404
api-feedback             PUT     401       404      409      409    409   404     404     401         404
api-feedback             DELETE  401       404      409      409    409   404     404     401         404
api-feedback:answer      GET     401       404      200      200    200   404     404     401         404
api-feedback:answer      PUT     401       404      200+     200+   200+  404     404     401         404
api-feedback:answer      DELETE  401       404      204      204    204   404     404     401         404
api-edits                GET     401       404      200    200    200   404     404     401         404
api-documents            GET     401       404      200    200    200   404     404     401         404
api-documents            POST    401       404      403    201+   201+  404     404     401         404
api-document-in          PATCH   401       404      403    200+   200+  404     404     401         404
api-document-in          DELETE  401       404      403    403    200+  404     404     401         404
api-document-undelete    POST    401       404      403    403    200   404     404     401         404
api-document-push        POST    401       404      403    200+   200+  404     404     401         404
api-document-take-over   POST    401       404      403    200    200   404     404     401         404
api-document-name        POST    401       404      403    200+   200+  404     404     401         404
api-document-restore     POST    401       404      403    200+   200+  404     404     401         404
api-document-resolve     POST    401       404      403    200+   200+  404     404     401         404
api-document             GET     401       404      200    200    200   404     404     401         404
api-document-updates     GET     401       404      200    200    200   404     404     401         404
api-document-versions    GET     401       404      200    200    200   404     404     401         404
api-document-blame       GET     401       404      200    200    200   404     404     401         404
api-document-download    GET     401       404      200    200    200   404     404     401         404
api-document-proposals   GET     401       404      200    200    200   404     404     401         404
api-attachments          POST    401       404      403    201+   201+  404     404     401         404
"""
"""Addresses by their names in chat/urls.py, some with a variant after a colon. Every other method is a 405. These are
views, so streams have no rules here (tests/consumers/test_event_stream.py), and neither have the
answers to foreign clients (tests/site/test_openai.py): their conversations are the asking user's own.
"""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")

COMMANDS = """
                 viewer       helper       member       owner        removed   deleted   deactivated
message.send     forbidden    forbidden    ack+         ack+         not_found not_found not_found
message.edit     forbidden    forbidden    forbidden    ack+         not_found not_found not_found
message.choose   forbidden    forbidden    conflict     conflict     not_found not_found not_found
message.delete   forbidden    ack+         forbidden    ack+         not_found not_found not_found
message.restore  forbidden    forbidden    ack          ack+         not_found not_found not_found
run.start        forbidden    forbidden    conflict     conflict     not_found not_found not_found
document.create  forbidden    forbidden    ack+         ack+         not_found not_found not_found
document.update  forbidden    forbidden    ack+         ack+         not_found not_found not_found
document.push    forbidden    forbidden    ack+         ack+         not_found not_found not_found
document.take_over forbidden  forbidden    ack          ack          not_found not_found not_found
document.name    forbidden    forbidden    ack+         ack+         not_found not_found not_found
document.restore forbidden    forbidden    ack+         ack+         not_found not_found not_found
document.select  forbidden    forbidden    ack          ack          not_found not_found not_found
document.resolve forbidden    forbidden    ack+         ack+         not_found not_found not_found
document.sync    document.updates document.updates document.updates document.updates not_found not_found not_found
run.sync         run.state    run.state    run.state    run.state    not_found not_found not_found
run.ack          ack          ack          ack          ack          ack       ack       ack
tool.decide      forbidden    ack+         forbidden    ack+         not_found not_found not_found
history.load     history.page history.page history.page history.page not_found not_found not_found
read             ack          ack          ack          ack          ack       ack       ack
typing           forbidden    forbidden    ack          ack          not_found not_found not_found
ping             pong         pong         pong         pong         pong      pong      pong
run.stop         forbidden    ack+         forbidden    ack+         not_found not_found not_found
document.delete  forbidden    ack+         forbidden    ack+         not_found not_found not_found
document.undelete forbidden   ack+         forbidden    ack+         not_found not_found not_found
"""
"""Commands on a conversation's socket: the answering event, or the code of the error. `helper` is staff, and a viewer.
The last three columns lose their access while they are connected, without any signal that would close the socket. The
other roles are not let in at all.
"""

CLOSE_CODES = {"anonymous": 4401, "stranger": 4404, "staff": 4404, "removed": 4404, "deleted": 4404}
"""The answer to a socket of a conversation, for roles that are not let in. Django signs deactivated users out."""


def read_table(table: str) -> dict[tuple[str, ...], dict[str, str]]:
    """The rows of a table by their first columns, as {role: cell}."""
    head, *lines = (line.split() for line in table.strip().splitlines())
    rows = {tuple(line[: -len(head)]): dict(zip(head, line[-len(head) :], strict=True)) for line in lines}
    assert len(rows) == len(lines), "a row stands twice in the table"
    return rows


@dataclass
class World:
    """A conversation, and users by role. `deleted` is the role of the owner if the conversation is deleted."""

    room: Conversation
    users: dict[str, Any]
    question: Message
    run: Run
    calls: list[ToolCall]
    invitation: Invitation
    token: str
    sent: Attachment
    unsent: Attachment
    document: UUID
    proposal: UUID
    api_token: ApiToken
    """The owner's."""

    def participant(self, role: str) -> int:
        """The id of a role's membership; an unknown id for those who have none."""
        row = Participant.objects.filter(conversation=self.room, user=self.users[role].pk or 0).first()
        return row.pk if row else 10**9


def build_world(role: str) -> World:
    """The world in which `role` acts."""
    create = get_user_model().objects.create_user
    names = set(ROLES) - {"anonymous", "deleted", "staff"}
    users: dict[str, Any] = {name: create(name, password="x") for name in sorted(names)}
    users |= {"anonymous": AnonymousUser(), "deleted": users["owner"], "newcomer": create("newcomer")}
    users["staff"] = create("staff", password="x", is_staff=True)
    users["helper"] = create("helper", is_staff=True)
    get_user_model().objects.filter(username="deactivated").update(is_active=False)
    users["deactivated"].refresh_from_db()
    owner = users["owner"]
    room = Conversation.objects.get(pk=store.create_conversation(owner, SECRET).id)
    started = begin(owner, room, f"{SECRET}?")
    end(started, text=f"{SECRET}!")
    question = Message.objects.get(conversation=room, role="user")
    store.edit_message(owner.pk, room.pk, question.pk, f"{SECRET}? Please.", False, "here")
    Conversation.objects.filter(pk=room.pk).update(answers="off")
    for name, member in {"viewer": "viewer", "helper": "viewer", "member": "member", "deactivated": "member"}.items():
        Participant.objects.create(conversation=room, user=users[name], role=member)
    Removal.objects.create(conversation=room, user=users["removed"])
    Run.objects.filter(conversation=room).update(status="awaiting_approval", launched_by=owner)
    run = Run.objects.get(conversation=room)
    calls = [
        ToolCall.objects.create(run=run, call_id=str(number), name=SECRET, status="awaiting_approval")
        for number in range(2)
    ]
    invitation = store.create_invitation(owner.pk, room.pk, "member", 3600, None)
    document = store.create_document(owner.pk, room.pk, store.NewDocument(SECRET, text=SECRET))
    row = Document.objects.get()
    proposal = DocumentProposal.objects.create(document=row, version=1, changes=[6, [0, SECRET]], run=run)
    files = [
        Attachment.objects.create(
            conversation=room,
            uploaded_by=owner,
            message=message,
            name=SECRET,
            type="text/plain",
            size=6,
            file=ContentFile(SECRET.encode(), name="file"),
        )
        for message in (question, None)
    ]
    if role == "deleted":
        Conversation.objects.filter(pk=room.pk).update(deleted_at=timezone.now())
    store.create_token(owner.pk, "script")
    return World(
        room=room,
        users=users,
        question=question,
        run=run,
        calls=calls,
        invitation=Invitation.objects.get(conversation=room),
        token=invitation.token,
        sent=files[0],
        unsent=files[1],
        document=document.id,
        proposal=proposal.pk,
        api_token=ApiToken.objects.get(),
    )


Fields = Callable[[World, str], dict[str, Any]]

KWARGS: dict[str, Fields] = {
    "conversation_id": lambda world, role: {"conversation_id": world.room.pk},
    "message_id": lambda world, role: {"message_id": world.question.pk},
    "run_id": lambda world, role: {"run_id": world.run.pk},
    "call_id": lambda world, role: {"call_id": world.calls[0].pk},
    "invitation_id": lambda world, role: {"invitation_id": world.invitation.pk},
    "token": lambda world, role: {"token": world.token},
    "participant_id": lambda world, role: {
        "participant_id": world.participant("deactivated")  # somebody else, for every role
    },
    "token_id": lambda world, role: {"token_id": world.api_token.pk},
    "attachment_id": lambda world, role: {"attachment_id": world.sent.pk},
    "document_id": lambda world, role: {"document_id": world.document},
    "proposal_id": lambda world, role: {"proposal_id": world.proposal},
    "agent": lambda world, role: {"agent": "assistant"},
    "chat_id": lambda world, role: {"chat_id": "chat"},
}
"""For each argument in the addresses, an id of the conversation."""

VARIANTS: dict[str, Fields] = {
    "api-feedback:answer": lambda world, role: {"message_id": world.run.message_id},
    "attachment:unsent": lambda world, role: {"attachment_id": world.unsent.pk},
    "api-participant:owner": lambda world, role: {"participant_id": world.participant("owner")},
    "api-participant:self": lambda world, role: {"participant_id": world.participant(role)},
}
"""Other ids than those of KWARGS."""

BODIES: dict[tuple[str, str], Fields] = {
    ("tokens", "POST"): lambda world, role: {"form": {"name": "Mine", "scopes": "read", "days": "30"}},
    ("say", "POST"): lambda world, role: {"form": {"text": "Hello", "client_id": str(uuid.uuid4())}},
    ("document", "POST"): lambda world, role: {"form": {"version": "1", "text": f"{SECRET}!"}},
    ("api-messages", "POST"): lambda world, role: {"text": "Hello", "client_id": str(uuid.uuid4())},
    ("api-message", "PATCH"): lambda world, role: {"text": "Changed"},
    ("api-read", "POST"): lambda world, role: {"seq": 1},
    ("api-decide", "POST"): lambda world, role: {"decision": "reject"},
    ("api-attachments", "POST"): lambda world, role: {"form": {"file": ContentFile(b"text", name="a.txt")}},
    ("api-participants", "POST"): lambda world, role: {"username": "newcomer"},
    ("api-participant", "PATCH"): lambda world, role: {"role": "viewer"},
    ("api-participant:owner", "PATCH"): lambda world, role: {"role": "viewer"},
    ("api-participant:self", "PATCH"): lambda world, role: {"role": "member" if role == "viewer" else "viewer"},
    ("api-conversation", "PATCH"): lambda world, role: {"title": "Mine"},
    ("api-conversation:agents", "PATCH"): lambda world, role: {"agents": ["assistant"], "answers": "always"},
    ("api-conversation:own", "PATCH"): lambda world, role: {"pinned": True},
    ("api-documents", "POST"): lambda world, role: {"title": "Mine", "text": "one"},
    ("api-document-in", "PATCH"): lambda world, role: {"title": "Ours"},
    ("api-document-name", "POST"): lambda world, role: {"version": 1, "name": "First"},
    ("api-document-restore", "POST"): lambda world, role: {"version": 0},
    ("api-document-push", "POST"): lambda world, role: {"version": 1, "changes": [6, [0, "!"]]},
    ("api-feedback", "PUT"): lambda world, role: {"rating": "good"},
    ("api-feedback:answer", "PUT"): lambda world, role: {"rating": "good", "comment": SECRET},
    ("api-fork", "POST"): lambda world, role: {"message": str(world.question.pk)},
}
"""A valid body for each row that needs one, as JSON or as a `form`."""


def fields_of_commands(world: World) -> dict[str, dict[str, Any]]:
    """Valid fields for each command."""
    asked, run, document = str(world.question.pk), str(world.run.pk), str(world.document)
    return {
        "message.send": {"client_id": str(uuid.uuid4()), "text": "Hello"},
        "message.edit": {"message": asked, "text": "Changed"},
        "message.delete": {"message": asked},
        "message.restore": {"message": asked},
        "message.choose": {"message": str(world.run.message_id)},
        "run.start": {},
        "run.stop": {"run": run},
        "run.sync": {"run": run},
        "run.ack": {"run": run, "seq": 1},
        "tool.decide": {"call": str(world.calls[0].pk), "decision": "reject"},
        "document.take_over": {"document": str(world.document)},
        "document.create": {"title": "Mine", "text": "one"},
        "document.update": {"document": document, "title": "Ours"},
        "document.delete": {"document": document},
        "document.undelete": {"document": document},
        "document.push": {"document": document, "version": 1, "changes": [6, [0, "!"]]},
        "document.sync": {"document": document, "version": 0},
        "document.name": {"document": document, "version": 1, "name": "First"},
        "document.restore": {"document": document, "version": 0},
        "document.select": {"document": document, "version": 1, "anchor": 0, "head": 3},
        "document.resolve": {"document": document, "proposal": str(world.proposal)},
        "history.load": {"before": 100},
        "read": {"seq": 1},
        "typing": {"on": True},
        "ping": {},
    }


@contextmanager
def writes() -> Iterator[list[str]]:
    """Collects the statements that write. Without any, there is no need of a `digest`, which takes longer."""
    written: list[str] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.lstrip("(").startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            written.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(record):
        yield written


def digest() -> dict[str, list[str]]:
    """All rows of all tables."""
    tables: list[type[models.Model]] = apps.get_models(include_auto_created=True)
    return {
        str(table._meta.label): sorted(map(repr, table._base_manager.values_list()))
        for table in tables
        if table._meta.managed
    }
