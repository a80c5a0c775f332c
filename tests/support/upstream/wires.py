"""How an answer is sent: on the wires of OpenAI, Anthropic, Gemini and Ollama."""

import json
from typing import Any

from .connection import Connection, Cut
from .texts import word


class Answer:
    """One streamed answer on OpenAI's wire. Subclasses send the same deltas on other wires."""

    def __init__(self, connection: Connection, request: dict[str, Any], options: dict[str, str]) -> None:
        self.connection = connection
        self.request = request
        self.n = int(options.get("n", 20))
        self.delay = float(options.get("delay", 0))
        self.first = float(options.get("first", 0))
        self.hold = int(options["hold"]) if "hold" in options else None
        self.split = int(options.get("split", 0))
        self.chars = int(options.get("chars", 0))
        self.cut = int(options["cut"]) if "cut" in options else None
        self.size = int(options.get("size", 1024 * 1024))
        self.code = int(options.get("code", 500))
        self.retry_after = options.get("retry_after")
        self.words = 0

    async def begin(self, content_type: str = "text/event-stream", encoding: str = "identity") -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-encoding: {encoding}\r\n"
        head += "transfer-encoding: chunked\r\n\r\n"
        await self.connection.write(head.encode())
        await self.connection.pause(self.first)

    async def raw(self, data: bytes) -> None:
        if self.cut is not None:
            data, self.cut = data[: self.cut], self.cut - len(data)
        for start in range(0, len(data), self.split or len(data)):
            piece = data[start : start + self.split] if self.split else data
            await self.connection.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if self.cut is not None and self.cut <= 0:
            raise Cut

    async def data(self, chunk: object) -> None:
        await self.raw(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")

    async def choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        await self.data({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.request["model"],
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        })  # fmt: skip

    async def say(self, words: list[str], field: str = "content") -> None:
        for piece in words:
            if self.words == self.hold:
                await self.wait()
            await self.connection.pause(self.delay)
            await self.choice({field: piece})
            self.words += 1

    async def wait(self) -> None:
        held = self.connection.service.held
        held.add(self)
        try:
            while self in held:
                await self.connection.pause(10)
        finally:
            held.discard(self)

    async def say_words(self) -> None:
        await self.say([word(i, self.chars) for i in range(self.n)])

    async def finish(self, finish_reason: str = "stop") -> None:
        await self.choice({}, finish_reason)
        if (self.request.get("stream_options") or {}).get("include_usage"):
            asked = self.asked()
            usage = {"prompt_tokens": asked, "completion_tokens": self.words, "total_tokens": asked + self.words}
            await self.data({"object": "chat.completion.chunk", "choices": [], "usage": usage})
        await self.raw(b"data: [DONE]\n\n")
        await self.end()

    async def end(self) -> None:
        await self.connection.write(b"0\r\n\r\n")

    def asked(self) -> int:
        return sum(len(str(message["content"]).split()) for message in self.request["messages"])

    def question(self) -> str:
        return str(self.request["messages"][-1]["content"])

    def results(self) -> list[str]:
        """What tools gave since the last turn of the model."""
        found: list[str] = []
        for message in self.request["messages"]:
            found = [] if message["role"] == "assistant" else found
            found += [message["content"]] if message["role"] == "tool" else []
        return found


class AnthropicAnswer(Answer):
    """The same deltas as events of Anthropic's wire."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.block = ""
        self.index = -1

    async def event(self, kind: str, **fields: object) -> None:
        await self.raw(b"event: %s\n" % kind.encode())
        await self.data({"type": kind, **fields})

    async def begin(self, content_type: str = "text/event-stream", encoding: str = "identity") -> None:
        await super().begin(content_type, encoding)
        usage = {"input_tokens": self.asked(), "cache_read_input_tokens": 0, "output_tokens": 1}
        await self.event("message_start", message={"role": "assistant", "content": [], "usage": usage})

    async def open(self, kind: str, **block: object) -> None:
        if self.block == "thinking":
            await self.delta("signature_delta", signature="signed-thought")
        if self.block:
            await self.event("content_block_stop", index=self.index)
        self.block = kind
        self.index += 1
        if kind:
            await self.event("content_block_start", index=self.index, content_block={"type": kind, **block})

    async def delta(self, kind: str, **fields: str) -> None:
        await self.event("content_block_delta", index=self.index, delta={"type": kind, **fields})

    async def choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        for field, kind in (("reasoning_content", "thinking"), ("content", "text")):
            if delta.get(field):
                if self.block != kind:
                    await self.open(kind, **{kind: ""})
                await self.delta(f"{kind}_delta", **{kind: delta[field]})
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                await self.open("tool_use", id=f"tool_{call['id']}", name=call["function"]["name"], input={})
            await self.delta("input_json_delta", partial_json=call["function"]["arguments"])

    async def finish(self, finish_reason: str = "stop") -> None:
        await self.open("")
        reason = {"stop": "end_turn", "tool_calls": "tool_use"}[finish_reason]
        await self.event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": self.words})
        await self.event("message_stop")
        await self.end()

    def asked(self) -> int:
        return sum(len(self.text(block).split()) for turn in self.request["messages"] for block in turn["content"])

    def question(self) -> str:
        return self.text(self.request["messages"][-1]["content"][-1])

    def results(self) -> list[str]:
        return [block["content"] for block in self.request["messages"][-1]["content"] if block["type"] == "tool_result"]

    def text(self, block: dict[str, Any]) -> str:
        return str(block.get("text", ""))


class GeminiAnswer(Answer):
    """The same deltas as chunks of Gemini's wire, where a call comes whole."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.calls: list[dict[str, Any]] = []

    async def parts(self, *parts: dict[str, Any], **fields: object) -> None:
        await self.data({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0} | fields]})

    async def choice(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        if delta.get("reasoning_content"):
            await self.parts({"text": delta["reasoning_content"], "thought": True})
        if delta.get("content"):
            await self.parts({"text": delta["content"]})
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                self.calls.append({"name": call["function"]["name"], "arguments": ""})
            self.calls[-1]["arguments"] += call["function"]["arguments"]

    async def finish(self, finish_reason: str = "stop") -> None:
        for call in self.calls:
            whole = {"name": call["name"], "args": json.loads(call["arguments"])}
            await self.parts({"functionCall": whole, "thoughtSignature": "signed-call"})
        asked = self.asked()
        usage = {"promptTokenCount": asked, "candidatesTokenCount": self.words, "totalTokenCount": asked + self.words}
        await self.data({
            "candidates": [{"content": {"role": "model"}, "finishReason": "STOP", "index": 0}], "usageMetadata": usage,
        })  # fmt: skip
        await self.end()

    def asked(self) -> int:
        return sum(len(part.get("text", "").split()) for turn in self.request["contents"] for part in turn["parts"])

    def question(self) -> str:
        return str(self.request["contents"][-1]["parts"][-1].get("text", ""))

    def results(self) -> list[str]:
        parts = self.request["contents"][-1]["parts"]
        return [part["functionResponse"]["response"].get("output", "") for part in parts if "functionResponse" in part]


class OllamaAnswer(GeminiAnswer):
    """The same deltas as lines of Ollama's own wire."""

    async def data(self, chunk: object) -> None:
        await self.raw(json.dumps(chunk, ensure_ascii=False).encode() + b"\n")

    async def parts(self, *parts: dict[str, Any], **fields: object) -> None:
        for part in parts:
            said = {"content": ""} | ({"thinking": part["text"]} if "thought" in part else {"content": part["text"]})
            await self.data({"model": "m", "message": {"role": "assistant"} | said, "done": False})

    async def finish(self, finish_reason: str = "stop") -> None:
        calls = [
            {"function": {"name": call["name"], "arguments": json.loads(call["arguments"])}} for call in self.calls
        ]
        last: dict[str, Any] = {"message": {"role": "assistant", "content": "", "tool_calls": calls}, "done": True}
        await self.data(last | {"done_reason": "stop", "prompt_eval_count": self.asked(), "eval_count": self.words})
        await self.end()

    asked = Answer.asked
    question = Answer.question
    results = Answer.results


WIRES: dict[str, type[Answer]] = {
    "/chat/completions": Answer,
    "/v1/messages": AnthropicAnswer,
    ":streamGenerateContent": GeminiAnswer,
    "/api/chat": OllamaAnswer,
}
