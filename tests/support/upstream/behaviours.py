"""What a model does, by its name. The package's docstring describes each."""

import asyncio
import json
import re
import time
import zlib
from collections.abc import Awaitable, Callable

from .texts import document, text, word
from .wires import Answer


async def words(answer: Answer) -> None:
    await answer.begin()
    await answer.choice({"role": "assistant", "content": ""})
    await answer.say_words()
    await answer.finish()


async def flowing(answer: Answer) -> None:
    held = answer.connection.service.held
    await answer.begin()
    await answer.choice({"role": "assistant", "content": ""})
    held.add(answer)
    try:
        released = False
        while not released:
            released = answer not in held
            await answer.connection.pause(answer.delay or 20)
            await answer.choice({"content": word(answer.words, answer.chars)})
            answer.words += 1
    finally:
        held.discard(answer)
    await answer.finish()


async def documented(answer: Answer) -> None:
    text = document(answer.n * answer.chars)
    await answer.begin()
    begun = time.monotonic()
    for i in range(answer.n):
        await answer.connection.pause((begun - time.monotonic()) * 1000 + i * answer.delay)
        await answer.choice({"content": text[i * answer.chars : (i + 1) * answer.chars]})
        answer.words += 1
    await answer.finish()


async def thinking(answer: Answer) -> None:
    await answer.begin()
    await answer.say([f"t{i} " for i in range(answer.n)], field="reasoning_content")
    await answer.say_words()
    await answer.finish()


async def tools(answer: Answer) -> None:
    await answer.begin()
    await answer.say(["Looking. "])
    for index, city in enumerate(("Oslo", "Rome")):
        call = {"index": index, "id": f"call_{index}", "type": "function"}
        await answer.choice({"tool_calls": [call | {"function": {"name": "weather", "arguments": ""}}]})
        for piece in ('{"city": ', f'"{city}"', "}"):
            await answer.connection.pause(answer.delay)
            await answer.choice({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    await answer.finish("tool_calls")


async def calls(answer: Answer) -> None:
    await answer.begin()
    await answer.say(["Looking. "])
    if not answer.results():
        for index in range(answer.n):
            function = {"name": "look_up", "arguments": f'{{"order": {index}}}'}
            identity = f"call_{'x' * answer.chars}{index}"
            await answer.choice({"tool_calls": [{"index": index, "id": identity, "function": function}]})
    await answer.finish("stop" if answer.results() else "tool_calls")


async def pieces(answer: Answer) -> None:
    await answer.begin()
    await answer.say(["Looking. "])
    if not answer.results():
        function = {"name": "look_up", "arguments": '{"order": "'}
        await answer.choice({"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]})
        for piece in ["1" * answer.chars] * answer.n + ['"}']:
            await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    await answer.finish("stop" if answer.results() else "tool_calls")


async def agent(answer: Answer) -> None:
    await answer.begin()
    if results := answer.results():
        await answer.say([f"{result} " for result in results])
        return await answer.finish()
    detail = {"type": "reasoning.text", "text": "Hm. ", "index": 0}
    await answer.choice({"reasoning_content": "Hm. ", "reasoning_details": [detail]})
    await answer.choice({"reasoning_details": [{"type": "reasoning.text", "signature": "signed-detail", "index": 0}]})
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "weather", "arguments": ""}}
    await answer.choice({"tool_calls": [call]})
    await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Oslo"}'}}]})
    await answer.finish("tool_calls")
    return None


async def called(answer: Answer) -> None:
    await answer.begin()
    asked = re.search(r"(\w+_document) (\{.*\})", answer.question(), re.DOTALL)
    if answer.results() or asked is None:
        await answer.say(["Done."])
        return await answer.finish()
    name, arguments = asked.groups()
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": name, "arguments": ""}}
    await answer.choice({"tool_calls": [call]})
    for piece in re.findall(r"\S+\s*", arguments):
        if answer.words == answer.hold:
            await answer.wait()
        await answer.connection.pause(answer.delay)
        await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        answer.words += 1
    await answer.finish("tool_calls")
    return None


async def written(answer: Answer) -> None:
    await answer.begin()
    if answer.results():
        await answer.say(["Done."])
        return await answer.finish()
    function = {"name": "create_document", "arguments": '{"title": "Waves", "text": "'}
    await answer.choice({"tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]})
    text = document(answer.n * answer.chars)
    begun = time.monotonic()
    for i in range(answer.n):
        await answer.connection.pause((begun - time.monotonic()) * 1000 + i * answer.delay)
        piece = json.dumps(text[i * answer.chars : (i + 1) * answer.chars])[1:-1]
        await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        answer.words += 1
    await answer.choice({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]})
    await answer.finish("tool_calls")
    return None


async def echo(answer: Answer) -> None:
    await answer.begin()
    await answer.say([f"{word} " for word in answer.question().split(" ")])
    await answer.finish()


async def whole(answer: Answer) -> None:
    message = {"role": "assistant", "content": text(answer.n)}
    await answer.connection.pause(answer.delay)
    await answer.connection.whole(200, {
        "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": answer.n, "total_tokens": answer.n + 1},
    })  # fmt: skip


async def deaf(answer: Answer) -> None:
    await answer.connection.silence()


async def silent(answer: Answer) -> None:
    await answer.begin()
    await answer.connection.silence()


async def comments(answer: Answer) -> None:
    await answer.begin()
    while True:
        await answer.raw(b": still there\n\n")
        await answer.connection.pause(answer.delay or 10)


async def stall(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.connection.silence()


async def drone(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    while True:
        await answer.raw(b": still there\n\n")
        await answer.connection.pause(answer.delay or 10)


async def cut(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    answer.connection.transport.abort()


async def unfinished(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.end()


async def garbage(answer: Answer) -> None:
    await answer.begin()
    await answer.raw(bytes(range(256)) * 20)
    await answer.end()


async def page(answer: Answer) -> None:
    await answer.connection.whole(200, b"<!doctype html><title>Welcome</title><p>Hello", content_type="text/html")


async def line(answer: Answer) -> None:
    await answer.begin()
    await answer.choice({"content": "begun"})
    await answer.raw(b"data: ")
    for _ in range(answer.size // 65536):
        await answer.raw(b"x" * 65536)
        await asyncio.sleep(0)
    await answer.raw(b"\n\n")
    await answer.finish()


async def endless(answer: Answer) -> None:
    await answer.begin()
    while True:
        await answer.raw(b"x" * 65536)
        await asyncio.sleep(0)


async def bomb(answer: Answer) -> None:
    packing = zlib.compressobj(9, wbits=31)
    comment = b": " + b"x" * 1022 + b"\n\n"
    head = packing.compress(comment) + packing.flush(zlib.Z_FULL_FLUSH)
    block = packing.compress(comment * 1024) + packing.flush(zlib.Z_FULL_FLUSH)  # needs nothing of what came before
    await answer.begin(encoding="gzip")
    await answer.raw(head)
    for _ in range(answer.size // (1024 * len(comment))):
        await answer.raw(block)
    await answer.end()


async def late(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.choice({}, "stop")
    await answer.raw(b"data: [DONE]\n\n")
    await answer.connection.silence()


async def fails(answer: Answer) -> None:
    await answer.begin()
    await answer.say_words()
    await answer.data({"error": {"message": "The engine ran out of steam", "type": "server_error", "code": 502}})
    await answer.end()


async def status(answer: Answer) -> None:
    headers = f"retry-after: {answer.retry_after}\r\n" if answer.retry_after else ""
    error = {"message": f"Refused with {answer.code}", "type": "test_error", "code": None}
    await answer.connection.whole(answer.code, {"error": error}, headers)


BEHAVIOURS: dict[str, Callable[[Answer], Awaitable[None]]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        words, flowing, documented, thinking, tools, calls, pieces, agent, called, written, echo, whole, deaf,
        silent, comments, stall, drone, cut, unfinished, garbage,
        page, line, endless, bomb, late, fails, status,
    )
}  # fmt: skip
