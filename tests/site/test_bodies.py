"""Long bodies of requests: the chat refuses them before they are read, and reads those of users only."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from chat.node.http import MAX_BODY, UPLOADS_AT_ONCE, find_limit, limit_bodies

from ..support.client import Person, signed_in
from ..support.pictures import png, png_chunk
from ..support.servers import Site
from .test_outages import tuned
from .test_slow_readers import MIB, memory

StartSite = Callable[..., Site]
PICTURE = png(2, 2, png_chunk(b"iCCP", bytes(3 * MIB)))
BOUNDARY = b"boundary-of-the-test"
FORM = (
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + PICTURE
    + b"\r\n--" + BOUNDARY + b"--\r\n"
)  # fmt: skip


connections: list[socket.socket] = []


@pytest.fixture(autouse=True)
def close_connections() -> Iterator[None]:
    yield
    while connections:
        connections.pop().close()


class Request:
    """A request by hand, whose body is sent in pieces, or never."""

    def __init__(self, site: Site, path: str, cookies: Any = (), **headers: str) -> None:
        self.connection = socket.create_connection(("127.0.0.1", site.port), timeout=60)
        connections.append(self.connection)
        self.send_head(path, cookies, **headers)

    def send_head(self, path: str, cookies: Any = (), method: str = "POST", **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.connection.getpeername()[1]}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items()))
        self.connection.sendall("\r\n".join([*lines, "\r\n"]).encode())

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self) -> tuple[int, bytes]:
        """The status and the body of the next response."""
        found = b""
        while b"\r\n\r\n" not in found:
            piece = self.connection.recv(1)
            assert piece, found
            found += piece
        head = found.decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        body = b""
        while len(body) < length:
            body += self.connection.recv(length - len(body))
        return int(found.split()[1]), body


def upload(site: Site, path: str, person: Person | None = None, length: int = len(FORM)) -> Request:
    """The head of an upload that passes the CSRF check."""
    cookies = dict(person.http.cookies) if person else {"csrftoken": "x" * 32}
    return Request(
        site,
        path,
        cookies,
        X_CSRFToken=cookies["csrftoken"],
        Content_Type=f"multipart/form-data; boundary={BOUNDARY.decode()}",
        Content_Length=str(length),
    )


def test_a_long_body_is_refused_before_it_is_read(site: Site) -> None:
    """Each request sends only the beginning of its body: a server that reads it whole never answers."""

    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            room = await ada.new_conversation()
            path = f"/chat/api/conversations/{room}/attachments/"

            stranger = upload(site, path)
            stranger.send(FORM[: 2 * MAX_BODY])
            assert await asyncio.to_thread(stranger.answer) == (
                401,
                b'{"code":"unauthorized","message":"Sign in first."}',
            )

            too_much = upload(site, path, ada, 2**30)
            too_much.send(FORM[: 2 * MAX_BODY])
            status, body = await asyncio.to_thread(too_much.answer)
            assert (status, json.loads(body)["message"]) == (413, "Files can be up to 5 MB.")

            login = Request(site, "/accounts/login/", Content_Length=str(2**30))
            login.send(b"x" * 2 * MAX_BODY)
            assert (await asyncio.to_thread(login.answer))[0] == 403, "nousproject has no uploads of its own"

            cookies = dict(ada.http.cookies)
            form = {"X_CSRFToken": cookies["csrftoken"], "Content_Type": "application/json"}
            long = Request(site, "/chat/api/conversations/", cookies, Content_Length=str(2**30), **form)
            long.send(b" " * 2 * MAX_BODY)
            assert (await asyncio.to_thread(long.answer))[0] == 413
            endless = Request(site, "/chat/api/conversations/", cookies, Transfer_Encoding="chunked", **form)
            for _ in range(4):
                endless.send(b"8000\r\n" + b" " * 0x8000 + b"\r\n")
            assert (await asyncio.to_thread(endless.answer))[0] == 413
            assert len((await ada.http.get("/chat/api/conversations/")).json()["conversations"]) == 1

    asyncio.run(talk())


def test_the_rest_of_a_refused_body_is_dropped_and_the_connection_stays_usable(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada:
            path = f"/chat/api/conversations/{await ada.new_conversation()}/attachments/"
            request = upload(site, path, ada, 60 * MIB)
            assert (await asyncio.to_thread(request.answer))[0] == 413
            before = memory(site)
            for _ in range(60):
                await asyncio.to_thread(request.send, bytes(MIB))
            request.send_head("/chat/api/token/", dict(ada.http.cookies), "GET")
            assert (await asyncio.to_thread(request.answer))[0] == 200
            assert memory(site) - before < 20 * MIB

    asyncio.run(talk())


def test_pictures_that_come_slowly_hold_up_nobody_else(site: Site) -> None:
    async def talk() -> None:
        async with signed_in(site, "ada") as ada, signed_in(site, "bob") as bob:
            path = f"/chat/api/conversations/{await ada.new_conversation()}/attachments/"
            slow = [upload(site, path, ada) for _ in range(UPLOADS_AT_ONCE)]
            for request in slow:
                await asyncio.to_thread(request.send, FORM[:MIB])
            his = f"/chat/api/conversations/{await bob.new_conversation()}/attachments/"
            made = await bob.http.post(his, headers=bob.csrf, files={"file": ("b.png", PICTURE)})
            assert made.status_code == 201, "another user does not wait"
            small = await ada.http.post(path, headers=ada.csrf, files={"file": ("a.txt", b"x")})
            assert small.status_code == 201, "a small file does not wait"
            for request in slow:
                for start in range(MIB, len(FORM), 100_000):
                    await asyncio.to_thread(request.send, FORM[start : start + 100_000])
                assert (await asyncio.to_thread(request.answer))[0] == 201

            gone = [upload(site, path, ada) for _ in range(UPLOADS_AT_ONCE)]
            for request in gone:
                request.connection.close()
            made = await ada.http.post(path, headers=ada.csrf, files={"file": ("a.png", PICTURE)})
            assert made.status_code == 201, "who goes leaves no trace"
            assert (await ada.http.get(made.json()["url"])).content == PICTURE

    asyncio.run(talk())


def test_the_body_of_a_request_for_a_socket_is_not_kept(start_site: StartSite) -> None:
    site = start_site(**tuned())
    before = memory(site)
    request = Request(
        site, "/ws/chat/", method="GET", Connection="Upgrade", Upgrade="websocket", Content_Length=str(60 * MIB)
    )
    try:
        for _ in range(60):
            request.send(bytes(MIB))
        request.connection.recv(1)
    except ConnectionError:
        pass
    assert memory(site) - before < 20 * MIB


def test_a_process_reads_only_some_long_bodies_of_one_user_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reading: list[int] = []
    path = "/chat/api/conversations/00000000-0000-0000-0000-000000000000/attachments/"

    async def find_user(_: Any, scope: dict[str, Any]) -> Any:
        return dict(scope["headers"])[b"cookie"]

    monkeypatch.setattr("chat.node.http.executor.run_request", find_user)

    async def talk() -> None:
        ends = [asyncio.Event() for _ in range(UPLOADS_AT_ONCE + 2)]

        async def application(scope: dict[str, Any], receive: Any, _: Any) -> None:
            while (await receive()).get("more_body"):
                pass

        async def upload(number: int, user: str) -> None:
            async def receive() -> dict[str, Any]:
                reading.append(number)
                await ends[number].wait()
                return {"type": "http.request", "body": b"x", "more_body": False}

            async def send(_: dict[str, Any]) -> None:
                raise AssertionError("the application sends nothing")

            headers = [(b"content-length", b"100000"), (b"cookie", b"sessionid=" + user.encode())]
            await limit_bodies(application)({"path": path, "headers": headers}, receive, send)

        async with asyncio.timeout(30), asyncio.TaskGroup() as uploads:
            for number in range(UPLOADS_AT_ONCE + 1):
                uploads.create_task(upload(number, "ada"))
            uploads.create_task(upload(UPLOADS_AT_ONCE + 1, "bob"))
            while len(reading) < UPLOADS_AT_ONCE + 1:
                await asyncio.sleep(0)
            assert reading == [*range(UPLOADS_AT_ONCE), UPLOADS_AT_ONCE + 1], "the last one of ada's waits"
            ends[0].set()
            while len(reading) < UPLOADS_AT_ONCE + 2:
                await asyncio.sleep(0)
            for end in ends:
                end.set()

    asyncio.run(talk())


def test_only_the_chats_own_addresses_have_limits_unless_the_site_gives_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.node.http._max_other_body", None)
    for path in ("/accounts/login/", "/admin/", "/", "/nothing/", "/chat/nothing/", "/chat"):
        assert find_limit(path) is None, path
    assert find_limit("/chat/") == find_limit("/chat/api/conversations/") == MAX_BODY
    with override_settings(FORCE_SCRIPT_NAME="/site"):
        assert find_limit("/site/chat/") == find_limit("/chat/") == MAX_BODY
    room = "00000000-0000-0000-0000-000000000000"
    assert find_limit(f"/chat/api/conversations/{room}/attachments/") == 5 * MIB + MAX_BODY
    assert find_limit(f"/chat/{room}/say/") == 12 * 32_000 + MAX_BODY
    monkeypatch.setattr("chat.node.http._max_other_body", 100)
    assert find_limit("/accounts/login/") == find_limit("/chat/nothing/") == 100
    assert find_limit("/chat/") == MAX_BODY
