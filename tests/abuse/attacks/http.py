"""Attacks over HTTP: floods of pages, guesses and bodies, uploads, and clients that are slow on purpose."""

import asyncio
import secrets
import uuid
import zlib
from urllib.parse import urlencode

from chat.conf import GuestConf

from ...benchmarks.wire import RATE, Order
from ..attackers import CSRF, Answers, Arena, attack, gather, raw_connection, read_status, request_head

GUEST_ADDRESSES = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


def picture(size: int) -> bytes:
    """A PNG of 8 x 8 pixels that is so many bytes long. Its structure is valid; nobody decodes its data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", (8).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00")
    end = chunk(b"IEND", b"")
    return header + chunk(b"IDAT", bytes(size - len(header) - len(end) - 12)) + end


def multipart(content: bytes, name: str = "a.png") -> tuple[str, bytes]:
    """The content type and the body of a form with one file."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return f"multipart/form-data; boundary={boundary}", head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


@attack("200, 429", "200")
async def pages(arena: Arena) -> Answers:
    """One user loads the HTML page of a conversation 800 times, 50 at a time."""
    person = arena.attackers(1)[0]
    path = f"/chat/{person.room}/"
    await gather((arena.count(person.http.get(path)) for _ in range(arena.size(800))), 50)
    return arena.answers


@attack("429", "200")
async def pages_of_strangers(arena: Arena) -> Answers:
    """Somebody who is not signed in loads the sign-in page and the chat's address 800 times, 50 at a time."""
    stranger = arena.client(None)
    paths = ("/accounts/login/", "/chat/")
    await gather((arena.count(stranger.http.get(paths[i % 2])) for i in range(arena.size(800))), 50)
    return arena.answers


@attack("", "200, 302, 429")
async def guests(arena: Arena) -> Answers:
    """600 visitors at three addresses load the chat and begin as guests, 50 at a time; each first message is answered
    for two seconds.
    """
    form = urlencode({"text": Order("guest", 2 * RATE), "csrfmiddlewaretoken": CSRF}).encode()
    kind = "application/x-www-form-urlencoded"
    page = request_head("GET", "/chat/")
    begin = request_head("POST", "/chat/guest/", Content_Type=kind, Content_Length=len(form)) + form

    async def visit(number: int) -> None:
        address = GUEST_ADDRESSES[number % len(GUEST_ADDRESSES)]
        for request in (page, begin):
            async with raw_connection(arena.site(number).port, address=address) as (reader, writer):
                writer.write(request)
                arena.answers[await read_status(reader)] += 1

    await gather((visit(number) for number in range(arena.size(600))), 50)
    most = GuestConf().per_address * len(GUEST_ADDRESSES) * arena.processes
    if (beyond := arena.answers["302"] - most) > 0:
        arena.answers["302 beyond the limit"] += beyond
    return arena.answers


@attack("200", "200")
async def invented_sessions(arena: Arena) -> Answers:
    """Somebody who is not signed in loads the sign-in page 800 times, 50 at a time, with 800 session cookies."""
    stranger = arena.client(None)
    cookies = [{"Cookie": f"sessionid={uuid.uuid4().hex}"} for _ in range(arena.size(800))]
    await gather((arena.count(stranger.http.get("/accounts/login/", headers=cookie)) for cookie in cookies), 50)
    return arena.answers


@attack("429", "404")
async def join_guesses(arena: Arena) -> Answers:
    """One user guesses 2,000 invitation links, 50 at a time."""
    person = arena.attackers(1)[0]
    paths = [f"/chat/join/{secrets.token_urlsafe(32)}/" for _ in range(arena.size(2000))]
    await gather((arena.count(person.http.get(path)) for path in paths), 50)
    return arena.answers


@attack("429", "400")
async def deep_json(arena: Arena) -> Answers:
    """400 JSON bodies of 60 KB of brackets, 20 at a time."""
    person = arena.attackers(1)[0]
    body = b'{"title":' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    await gather((arena.count(person.api("POST", "conversations/", content=body)) for _ in range(arena.size(400))), 20)
    return arena.answers


@attack("", "400")
async def bad_hosts(arena: Arena) -> Answers:
    """2,000 requests with the Host of another site, 50 at a time."""
    stranger = arena.client(None)
    headers = {"Host": "evil.example"}
    work = (arena.count(stranger.http.get("/chat/", headers=headers)) for _ in range(arena.size(2000)))
    await gather(work, 50)
    return arena.answers


@attack("401, 403, 413, closed, 429")
async def uploads_of_strangers(arena: Arena) -> Answers:
    """Ten people who are not signed in upload 50 MB each, at once."""
    room = arena.cast.attackers[0].conversation
    kind, body = multipart(picture(arena.size(50 * 2**20)))

    async def upload(number: int) -> None:
        path = f"/chat/api/conversations/{room}/attachments/"
        head = request_head("POST", path, Content_Type=kind, Content_Length=len(body))
        async with raw_connection(arena.site(number).port) as (reader, writer):
            try:
                writer.write(head)
                for at in range(0, len(body), 2**18):
                    writer.write(body[at : at + 2**18])
                    await writer.drain()
                    if reader.at_eof():
                        break
            except OSError:
                pass  # refused before it was read
            arena.answers[await read_status(reader)] += 1

    await asyncio.gather(*(upload(number) for number in range(10)))
    return arena.answers


@attack("201, 409, 429", "201, 409")
async def uploads_beyond_the_quota(arena: Arena) -> Answers:
    """One user uploads 80 small files at once; 50 may wait to be sent."""
    person = arena.attackers(1)[0]
    path = f"conversations/{person.room}/attachments/"
    files = [{"file": (f"{i}.txt", b"text")} for i in range(80)]
    await gather((arena.count(person.api("POST", path, files=file)) for file in files), 80)
    if (beyond := arena.answers["201"] - 50) > 0:
        arena.answers["201 beyond the quota"] += beyond
    return arena.answers


@attack("201, 409, 413, 429", "201, 413")
async def large_uploads(arena: Arena) -> Answers:
    """Two users upload 20 pictures of 5 MB and 20 of 30 MB, ten at a time."""
    contents = (picture(5 * 2**20), picture(30 * 2**20))
    people = arena.attackers(2)

    def upload(number: int) -> object:
        person = people[number % 2]
        path = f"conversations/{person.room}/attachments/"
        return arena.count(person.api("POST", path, files={"file": ("a.png", contents[number // 2 % 2])}))

    await gather((upload(number) for number in range(arena.size(40))), 10)  # type: ignore[misc]
    return arena.answers


@attack("200, 429, closed", "200")
async def slow_downloads(arena: Arena) -> Answers:
    """100 connections ask for a picture of 5 MB and read 4 KB of it a second."""
    person = arena.attackers(1)[0]
    files = {"file": ("a.png", picture(5 * 2**20))}
    created = await person.api("POST", f"conversations/{person.room}/attachments/", files=files)
    assert created.status_code == 201, created.text
    cookie = f"sessionid={person.http.cookies['sessionid']}"
    head = request_head("GET", f"/chat/attachments/{created.json()['id']}/", cookie)

    async def download(number: int) -> None:
        async with raw_connection(arena.site(number).port, 4096) as (reader, writer):
            writer.write(head)
            arena.answers[await read_status(reader, 60)] += 1
            for _ in range(arena.size(8)):
                await asyncio.sleep(1)
                await reader.read(4096)

    await asyncio.gather(*(download(number) for number in range(arena.size(100))))
    return arena.answers


@attack("open, 400, 408, 413, closed", "open")
async def slow_bodies(arena: Arena) -> Answers:
    """200 connections announce a body of 60 KB and send one byte of it a second, for ten seconds."""
    person = arena.attackers(1)[0]
    cookie = f"sessionid={person.http.cookies['sessionid']}"
    head = request_head("POST", "/chat/api/conversations/", cookie, Content_Length=60_000)

    async def drip(number: int) -> None:
        async with raw_connection(arena.site(number).port) as (reader, writer):
            writer.write(head)
            for _ in range(arena.size(10)):
                writer.write(b" ")
                await asyncio.sleep(1)
            arena.answers["closed" if reader.at_eof() else "open"] += 1

    await asyncio.gather(*(drip(number) for number in range(arena.size(200))))
    return arena.answers


@attack("429", "302")
async def forms(arena: Arena) -> Answers:
    """One user posts the form without JavaScript 300 times, 20 at a time."""
    person = arena.attackers(1)[0]
    room = await person.quiet_room()

    def post() -> object:
        form = {"text": "word " * 2000, "csrfmiddlewaretoken": "a" * 32}
        return arena.count(person.http.post(f"/chat/{room}/say/", data=form))

    await gather((post() for _ in range(arena.size(300))), 20)  # type: ignore[misc]
    return arena.answers
