"""Spans and metrics for OpenTelemetry, after its semantic conventions for generative AI. Without the extra
`opentelemetry`, and without an SDK of the site, nothing is measured.

    span                    of                             its parent
    ----------------------  -----------------------------  ---------------------------------------
    invoke_agent AGENT      a run (runner.py)              the current span of the run's caller
    chat MODEL              one request, also each retry   the run's
    execute_tool TOOL       a tool call; it is current     the run's
                            while the tool runs

None of the conventions' names is stable yet, so all that are used stand here: Operation, Attribute, Instrument,
PROVIDERS.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import msgspec

from .events import TextDelta
from .exceptions import EngineError, mask
from .messages import Message, ToolCall
from .providers.parser import Delta
from .providers.provider import Completion, Provider, Request

if TYPE_CHECKING:
    from .agent import Agent

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, StatusCode
except ImportError:
    IS_INSTALLED = False
else:
    IS_INSTALLED = True

SCOPE = "nous_chat"
"""The name of the tracer and the meter."""


class Operation(StrEnum):
    """Values of `gen_ai.operation.name`."""

    AGENT = "invoke_agent"
    CHAT = "chat"
    TOOL = "execute_tool"


class Attribute(StrEnum):
    """Attributes of spans and metrics."""

    OPERATION = "gen_ai.operation.name"
    PROVIDER = "gen_ai.provider.name"
    MODEL = "gen_ai.request.model"
    STREAM = "gen_ai.request.stream"
    TEMPERATURE = "gen_ai.request.temperature"
    MAX_TOKENS = "gen_ai.request.max_tokens"
    FINISH_REASONS = "gen_ai.response.finish_reasons"
    FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
    INPUT_TOKENS = "gen_ai.usage.input_tokens"
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
    CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
    TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105
    AGENT = "gen_ai.agent.name"
    THREAD = "gen_ai.conversation.id"
    TOOL = "gen_ai.tool.name"
    TOOL_TYPE = "gen_ai.tool.type"
    CALL = "gen_ai.tool.call.id"
    # Content
    INSTRUCTIONS = "gen_ai.system_instructions"
    INPUT = "gen_ai.input.messages"
    OUTPUT = "gen_ai.output.messages"
    ARGUMENTS = "gen_ai.tool.call.arguments"
    RESULT = "gen_ai.tool.call.result"
    # Not of generative AI
    ERROR = "error.type"
    SERVER = "server.address"
    PORT = "server.port"


class Instrument(StrEnum):
    """Histograms: in seconds, but for tokens."""

    TOKENS = "gen_ai.client.token.usage"
    CHAT_DURATION = "gen_ai.client.operation.duration"
    FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
    AGENT_DURATION = "gen_ai.invoke_agent.duration"
    TOOL_DURATION = "gen_ai.execute_tool.duration"


PROVIDERS = {"gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
"""Names of providers that the conventions spell in another way."""

_DURATIONS = {
    Operation.AGENT: Instrument.AGENT_DURATION,
    Operation.CHAT: Instrument.CHAT_DURATION,
    Operation.TOOL: Instrument.TOOL_DURATION,
}

_MEASURED = (
    Attribute.OPERATION,
    Attribute.PROVIDER,
    Attribute.MODEL,
    Attribute.SERVER,
    Attribute.PORT,
    Attribute.AGENT,
    Attribute.TOOL,
    Attribute.ERROR,
)
"""The attributes of spans that metrics have as well: those with few values."""

_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]

if IS_INSTALLED:
    # Both wait for the site's SDK if it comes later.
    _tracer = trace.get_tracer(SCOPE)
    _meter = metrics.get_meter(SCOPE)
    _histograms = {
        name: _meter.create_histogram(
            name.value,
            unit="{token}" if name is Instrument.TOKENS else "s",
            explicit_bucket_boundaries_advisory=_TOKENS if name is Instrument.TOKENS else _SECONDS,
        )
        for name in Instrument
    }

Attributes = Mapping[str, Any]


class Span:
    """An operation, as a context manager around it. An EngineError that leaves the block is its error."""

    def __init__(self, operation: Operation, subject: str, attributes: Attributes, parent: "Span") -> None:
        self._operation = operation
        self._attributes = _plain({Attribute.OPERATION: operation.value, **attributes})
        self._output: list[Delta] | None = None
        self._started_at = time.perf_counter()
        kind = SpanKind.CLIENT if operation is Operation.CHAT else SpanKind.INTERNAL
        context = None if parent is NOTHING else trace.set_span_in_context(parent._span)
        self._span: trace.Span = _tracer.start_span(f"{operation} {subject}".rstrip(), context, kind, self._attributes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, EngineError):
            self.fail(error.code)
        elif isinstance(error, Exception):
            self.fail(type(error).__name__)
        self._observe(_DURATIONS[self._operation], time.perf_counter() - self._started_at)
        self._span.end()

    def set(self, attributes: Attributes) -> None:
        """Add what is known now. None leaves out an attribute."""
        known = _plain(attributes)
        self._attributes |= known
        self._span.set_attributes(known)

    def fail(self, code: str) -> None:
        """Note that it has failed. `code` has few values."""
        self.set({Attribute.ERROR: code})
        self._span.set_status(StatusCode.ERROR)

    def begin(self) -> None:
        """The first delta has come."""
        seconds = time.perf_counter() - self._started_at
        self.set({Attribute.FIRST_CHUNK: seconds})
        self._observe(Instrument.FIRST_CHUNK, seconds)

    def collect(self) -> None:
        """Keep the pieces of the answer, which is content."""
        self._output = []

    def add(self, delta: Delta) -> None:
        """A piece of the answer, which counts if content is traced."""
        if self._output is not None:
            self._output.append(delta)

    def complete(self, completion: Completion) -> None:
        """The answer to a request is complete."""
        usage = completion.usage
        if self._output is not None:
            text = "".join(delta.text for delta in self._output if isinstance(delta, TextDelta))
            calls = tuple(delta for delta in self._output if isinstance(delta, ToolCall))
            said = _describe(Message("assistant", text, tool_calls=calls))
            self.set({Attribute.OUTPUT: _encode([{**said, "finish_reason": completion.finish_reason or "stop"}])})
        self.set({Attribute.FINISH_REASONS: [completion.finish_reason] if completion.finish_reason else None})
        if usage is None:
            return
        self.set(
            {
                Attribute.INPUT_TOKENS: usage.input_tokens,
                Attribute.OUTPUT_TOKENS: usage.output_tokens,
                Attribute.CACHED_TOKENS: usage.cached_tokens,
                Attribute.REASONING_TOKENS: usage.reasoning_tokens,
            }
        )
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens is not None:
                self._observe(Instrument.TOKENS, tokens, {Attribute.TOKEN_TYPE: kind})

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make it the parent of the spans of others, in this task. Not in a generator, which others run in pieces."""
        with trace.use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield

    def _observe(self, name: Instrument, value: float, more: Attributes = MappingProxyType({})) -> None:
        measured: dict[str, Any] = {each: self._attributes[each] for each in _MEASURED if each in self._attributes}
        _histograms[name].record(value, _plain({**measured, **more}))


class _Nothing(Span):
    """What there is without OpenTelemetry."""

    def __init__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def set(self, attributes: Attributes) -> None:
        pass

    def fail(self, code: str) -> None:
        pass

    def begin(self) -> None:
        pass

    def add(self, delta: Delta) -> None:
        pass

    def complete(self, completion: Completion) -> None:
        pass

    def current(self) -> Any:
        return nullcontext()


NOTHING = _Nothing()


def run_span(name: str, more: Attributes) -> Span:
    """A run of an agent with this name. `more` are attributes of the caller's."""
    if not IS_INSTALLED:
        return NOTHING
    return Span(Operation.AGENT, name, {Attribute.AGENT: name, **more}, NOTHING)


def provider_of(provider: Provider) -> Attributes:
    """Who is asked first."""
    return {Attribute.PROVIDER: _name_of(provider), Attribute.MODEL: provider.model}


def _address_of(url: str) -> dict[str, Any]:
    """The server and its port; nothing if the address is wrong, which the request itself reports."""
    try:
        address = urlsplit(url)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:
        return {}
    return {Attribute.SERVER: address.hostname, Attribute.PORT: port} if address.hostname else {}


def request_span(agent: "Agent", provider: Provider, request: Request, parent: Span) -> Span:
    """One request to a model."""
    if not IS_INSTALLED:
        return NOTHING
    attributes: dict[str, Any] = {**provider_of(provider), Attribute.STREAM: True}
    attributes |= _address_of(getattr(provider, "base_url", ""))
    if request.sampling.temperature is not None:
        attributes[Attribute.TEMPERATURE] = request.sampling.temperature
    if request.limits.max_output_tokens is not None:
        attributes[Attribute.MAX_TOKENS] = request.limits.max_output_tokens
    if agent.trace_content:
        attributes[Attribute.INPUT] = _encode([_describe(message) for message in request.messages])
        if request.instructions:
            attributes[Attribute.INSTRUCTIONS] = _encode([{"type": "text", "content": request.instructions}])
    span = Span(Operation.CHAT, provider.model, attributes, parent)
    if agent.trace_content:
        span.collect()
    return span


def tool_span(call: ToolCall, content: bool, parent: Span) -> Span:
    """A tool call."""
    if not IS_INSTALLED:
        return NOTHING
    attributes: dict[str, Any] = {Attribute.TOOL: call.name, Attribute.TOOL_TYPE: "function", Attribute.CALL: call.id}
    if content:
        attributes[Attribute.ARGUMENTS] = _encode(call.arguments)
    return Span(Operation.TOOL, call.name, attributes, parent)


def result_of(text: str) -> Attributes:
    """The result of a tool call, as content."""
    return {Attribute.RESULT: mask(text)}


def _plain(attributes: Attributes) -> dict[str, Any]:
    """With plain strings as names, for exporters; without those that are None."""
    return {str(name): value for name, value in attributes.items() if value is not None}


def _name_of(provider: Provider) -> str:
    return PROVIDERS.get(provider.name, provider.name)


def _describe(message: Message) -> dict[str, Any]:
    """A message, as the conventions want it. Pictures are left out."""
    if message.role == "tool":
        return {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": message.call_id, "response": message.text}],
        }
    text: Sequence[Any] = [{"type": "text", "content": message.text_with_name}] if message.text else []
    calls = [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
        for call in message.tool_calls
    ]
    return {"role": message.role, "parts": [*text, *calls]}


def _encode(value: Any) -> str:
    """As JSON, without what looks like a key."""
    return mask(msgspec.json.encode(value).decode())
