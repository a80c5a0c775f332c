"""Attachments: limits by type, sending, who can download them, and deletion."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from chat import store
from chat.models import Attachment, Conversation, Message, Participant, attachment_storage

from ..support.pictures import gif, jpeg, png, webp
from ..support.store_helpers import post, read_body, refused

PNG = png(40, 40)


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def upload(user: Any, room: Conversation, content: bytes = PNG, name: str = "cat.png") -> Any:
    return store.upload_attachment(user, room.pk, name, content)


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (jpeg(), "image/jpeg"),
        (gif(), "image/gif"),
        (webp(), "image/webp"),
        ("Grüße\r\n\tund 日本".encode(), "text/plain"),
        (b"\xef\xbb\xbfwith a mark", "text/plain"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "text/plain"),
        (b"<!doctype html><script>alert(1)</script>", "text/plain"),
    ],
)
def test_the_type_comes_from_the_content_and_not_from_the_name(
    people: Any, room: Conversation, content: bytes, kind: str
) -> None:
    assert upload(people["ada"], room, content, "evil.html").type == kind


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF\x02\x01", b"PK\x03\x04", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", b"a\x00b", b"\xff\xfeh\x00i\x00", b"\x80"],
)
def test_files_of_other_types_are_refused(people: Any, room: Conversation, folder: Path, content: bytes) -> None:
    with refused("invalid"):
        upload(people["ada"], room, content, "picture.png")
    assert files(folder) == 0


def test_each_type_has_its_own_size_limit(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"IMAGE_BYTES": len(PNG), "TEXT_BYTES": 10}
    assert upload(people["ada"], room)
    assert upload(people["ada"], room, b"x" * 10)
    for content in (PNG + b"x", b"x" * 11):
        with refused("too_large"):
            upload(people["ada"], room, content)
    with refused("empty"):
        upload(people["ada"], room, b"")
    with refused("too_large"):
        upload(people["ada"], room, bytes(11))  # what is too long for a text is not read to see whether it is one


def test_the_number_of_unsent_files_is_limited(
    people: Any, room: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.store.attachments.MAX_UNSENT", 2)
    upload(people["ada"], room)
    upload(people["ada"], room)
    with refused("conflict"):
        upload(people["ada"], room)
    upload(people["bob"], room)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\fake\\cat.png", "cat.png"),
        ('a"b\r\nSet-Cookie: x.png', 'a"bSet-Cookie: x.png'),
        ("..", "file"),
        ("", "file"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u2066b\u2069c\u061cd\u200ee\u200bf.txt", "abcdef.txt"),
        ("\x1b]52;c;x\x07\x9b\x7fa.txt", "]52;c;xa.txt"),
        ("a\u2028b\u0085c\ufeff.txt", "abc.txt"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_file_names_lose_folders_and_control_characters(
    people: Any, room: Conversation, folder: Path, given: str, kept: str
) -> None:
    assert upload(people["ada"], room, name=given).name == kept
    assert all(path.parent == folder / "nous_chat" for path in folder.rglob("*") if path.is_file())


def test_a_message_keeps_the_order_of_its_files(people: Any, room: Conversation) -> None:
    first, second = upload(people["ada"], room, name="1.png"), upload(people["ada"], room, b"text", name="2.txt")
    posted = post(people["ada"], room, "", attachments=[second.id, first.id])
    assert [(a.name, a.image) for a in posted.message.attachments] == [("2.txt", False), ("1.png", True)]
    assert posted.message.text == ""
    (message,), _ = store.list_messages(people["bob"].pk, room.pk, None, 10)
    assert message == posted.message


def test_files_that_a_message_cannot_take_are_refused(people: Any, room: Conversation, settings: Any) -> None:
    settings.NOUS_CHAT = {"ATTACHMENTS_PER_MESSAGE": 1}
    elsewhere = Conversation.objects.get(pk=store.create_conversation(people["ada"]).id)
    there, hers = upload(people["ada"], elsewhere), upload(people["bob"], room)
    sent = upload(people["ada"], room)
    post(people["ada"], room, attachments=[sent.id])
    for wanted in (there.id, hers.id, sent.id, uuid.uuid4()):
        with refused("not_found"):
            post(people["ada"], room, attachments=[wanted])
    with refused("too_large"):
        post(people["ada"], room, attachments=[upload(people["ada"], room).id, upload(people["ada"], room).id])
    with refused("empty"):
        post(people["ada"], room, "", attachments=[])
    assert Message.objects.count() == 1


def test_viewers_and_strangers_cannot_upload(client: Client, people: Any, room: Conversation, folder: Path) -> None:
    Participant.objects.filter(conversation=room, user=people["bob"]).update(role="viewer")
    address = f"/chat/api/conversations/{room.pk}/attachments/"

    def body() -> dict[str, Any]:
        return {"file": SimpleUploadedFile("cat.png", PNG)}

    assert client.post(address, body()).status_code == 401
    client.force_login(people["bob"])
    assert client.post(address, body()).status_code == 403
    client.force_login(people["eve"])
    assert client.post(address, body()).status_code == 404
    assert files(folder) == 0


def test_files_are_uploaded_and_downloaded_over_http(
    client: Client, people: Any, room: Conversation, settings: Any
) -> None:
    client.force_login(people["ada"])
    address = f"/chat/api/conversations/{room.pk}/attachments/"
    answer = client.post(address, {"file": SimpleUploadedFile("Größe.png", PNG, "text/html")})
    assert answer.status_code == 201
    made = answer.json()
    assert made | {"id": "", "url": ""} == {
        "id": "",
        "name": "Größe.png",
        "type": "image/png",
        "size": len(PNG),
        "url": "",
        "image": True,
    }
    assert client.post(address, {"other": "x"}).status_code == 400
    assert client.post(address, json.dumps({}), content_type="application/json").status_code == 400
    settings.NOUS_CHAT = {"IMAGE_BYTES": 5, "TEXT_BYTES": 5}
    assert client.post(address, {"file": SimpleUploadedFile("cat.png", PNG)}).status_code == 413

    served = client.get(made["url"])
    assert (served.status_code, read_body(served)) == (200, PNG)
    assert served["Content-Type"] == "image/png"
    assert served["Content-Disposition"].startswith("inline")
    assert served["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in served["Content-Security-Policy"]
    assert "default-src 'none'" in served["Content-Security-Policy"]
    assert served["Cache-Control"].startswith("private")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.png", 'inline; filename="a b.png"'),
        ('"; filename=evil.html; x="', 'inline; filename="\\"; filename=evil.html; x=\\""'),
        ("Größe\r\nX: y.png", "inline; filename*=utf-8''Gr%C3%B6%C3%9FeX%3A%20y.png"),
        ("\u202egnp.\u05d0.html", "inline; filename*=utf-8''gnp.%D7%90.html"),
    ],
)
def test_a_name_cannot_get_out_of_its_header(
    client: Client, people: Any, room: Conversation, name: str, expected: str
) -> None:
    client.force_login(people["ada"])
    served = client.head(upload(people["ada"], room, name=name).url)
    assert served["Content-Disposition"] == expected


def test_text_files_are_never_served_as_html(client: Client, people: Any, room: Conversation) -> None:
    client.force_login(people["ada"])
    page = upload(people["ada"], room, b"<script>alert(1)</script>", "index.html")
    served = client.get(page.url)
    assert read_body(served) == b"<script>alert(1)</script>"
    assert served["Content-Type"] == "text/plain; charset=utf-8"
    assert served["Content-Disposition"].startswith("attachment")


def test_a_file_is_served_to_users_who_can_read_its_message(client: Client, people: Any, room: Conversation) -> None:
    made = upload(people["ada"], room)
    client.force_login(people["bob"])
    assert client.get(made.url).status_code == 404, "it is not sent yet"
    message = post(people["ada"], room, attachments=[made.id]).message
    assert read_body(client.get(made.url)) == PNG
    client.force_login(people["eve"])
    refusal = client.get(made.url)
    nothing = client.get(f"/chat/attachments/{uuid.uuid4()}/")
    assert (refusal.status_code, refusal.content) == (nothing.status_code, nothing.content) == (404, nothing.content)
    client.logout()
    assert client.get(made.url).status_code == 401

    client.force_login(people["bob"])
    deleted = store.delete_message(people["ada"].pk, room.pk, message.id)
    assert deleted.attachments == ()
    assert client.get(made.url).status_code == 404
    store.restore_message(people["ada"].pk, room.pk, message.id)
    attachment_storage().delete(str(Attachment.objects.get().file.name))
    assert client.get(made.url).status_code == 404, "a storage that has lost it is no error of ours"


def test_an_unsent_file_can_be_deleted_by_its_uploader(
    client: Client, people: Any, room: Conversation, folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    made, sent = upload(people["ada"], room), upload(people["ada"], room)
    post(people["ada"], room, attachments=[sent.id])
    client.force_login(people["bob"])
    assert client.delete(made.url).status_code == 404
    client.force_login(people["ada"])
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(made.url).status_code == 204
    assert client.delete(sent.url).status_code == 404
    assert files(folder) == 1


def test_a_file_is_deleted_with_the_last_row_that_names_it(
    people: Any, room: Conversation, folder: Path, django_capture_on_commit_callbacks: Any
) -> None:
    upload(people["ada"], room)
    row = Attachment.objects.get()
    copy = Attachment.objects.get()
    copy.pk = uuid.uuid4()
    copy.save(force_insert=True)
    with django_capture_on_commit_callbacks(execute=True):
        row.delete()
    assert files(folder) == 1
    with django_capture_on_commit_callbacks(execute=True):
        room.delete()
    assert files(folder) == 0
