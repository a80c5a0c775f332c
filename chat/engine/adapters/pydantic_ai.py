"""An agent of Pydantic AI (version 2) as ours: `PydanticAIAgent(pydantic_ai.Agent("openai:gpt-4o", tools=[...]))`.

    Pydantic AI                                     ours
    ----------------------------------------------  --------------------------------------------------------------
    PartStartEvent, PartDeltaEvent of text          TextDelta
    ... of thinking                                 ThinkingDelta
    ... of the arguments of a tool that streams     ToolCallDelta
    FunctionToolCallEvent                           ToolCall
    FunctionToolResultEvent                         ToolResult
    AgentRunResultEvent                             Finish; its new messages become Result.messages, each turn with a
                                                    Replay in the form of Pydantic AI
    output DeferredToolRequests                     Result.pending, of its approvals
    output of another type than text                Result.output
    ModelHTTPError, UserError ...                   Error, with our codes
    everything else                                 ignored

`context.deps` become the agent's `deps`, and `context.tools` are tools in addition to its own. The framework is
imported when the first agent is made. Install it with `pip install pydantic-ai-slim` and the extra of the model's
vendor. Source: https://ai.pydantic.dev.
"""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Any

import msgspec
from msgspec.structs import replace

from ..approvals import Approve, Decision
from ..events import Event, Finish, TextDelta, ThinkingDelta, ToolCall, ToolCallDelta, ToolResult
from ..exceptions import ConfigurationError, EngineError, ProviderError
from ..i18n import _
from ..messages import Image, Message, Replay, Result
from ..providers.errors import reader_message
from ..result_builder import ResultBuilder
from ..tool_runner import ToolRunner
from ..tools import Tool, ToolContext
from ..usage import Usage

_WIRE = "pydantic_ai"
_MAX_RETRIES = 10  # of a tool of the context


class PydanticAIAgent:
    """A CustomAgent. `options` are passed to each run of the agent: `usage_limits`, `model_settings` ..."""

    def __init__(self, agent: Any, **options: Any) -> None:
        try:
            self._ai = import_module("pydantic_ai")
        except ImportError as error:
            raise ConfigurationError("Pydantic AI is not installed: pip install pydantic-ai-slim.") from error
        self._agent = agent
        self._options = options

    def run_stream(self, messages: Sequence[Message], *, context: ToolContext) -> AsyncGenerator[Event, None]:
        return self._stream(messages, context)

    def resume(
        self, messages: Sequence[Message], decisions: Mapping[str, Decision], *, context: ToolContext
    ) -> AsyncGenerator[Event, None]:
        approvals = {
            call: self._ai.ToolApproved(override_args=decision.arguments)
            if isinstance(decision, Approve)
            else self._ai.ToolDenied(decision.result_text)
            for call, decision in decisions.items()
        }
        return self._stream(messages, context, deferred_tool_results=self._ai.DeferredToolResults(approvals=approvals))

    async def _stream(
        self, messages: Sequence[Message], context: ToolContext, **options: Any
    ) -> AsyncGenerator[Event, None]:
        builder = ResultBuilder()
        options = self._options | {"deps": context.deps, "message_history": self._history(messages)} | options
        if context.tools:
            options["toolsets"] = [*options.get("toolsets", ()), self._toolset(context)]
        streamed = _StreamedArguments(tool.name for tool in context.tools if tool.stream_arguments)
        try:
            async with self._agent.run_stream_events(**options) as events:
                async for event in events:
                    if event.event_kind == "agent_run_result":
                        yield Finish(self._result(builder, event.result))
                        return
                    converted = streamed.take(event) or self._event(event, builder)
                    if converted is not None:
                        yield converted
        except self._ai.AgentRunError as error:
            raise _failure(error) from error
        except self._ai.UserError as error:
            raise ConfigurationError(str(error)) from error

    def _toolset(self, context: ToolContext) -> Any:
        """The tools of the context as theirs. A call that fails is one that the model may try again."""

        def make(tool: Tool[..., Any]) -> Any:
            async def function(ctx: Any, **arguments: Any) -> str:
                call = ToolCall(ctx.tool_call_id, tool.name, arguments)
                async with aclosing(ToolRunner([tool], context).run([call], float("inf"))) as results:
                    async for result in results:
                        if result.failed:
                            raise self._ai.ModelRetry(result.text)
                        return result.text
                raise AssertionError("a call has a result")

            return self._ai.Tool.from_schema(function, tool.name, tool.description, tool.schema, takes_ctx=True)

        return self._ai.FunctionToolset([make(tool) for tool in context.tools], max_retries=_MAX_RETRIES)

    def _event(self, event: Any, builder: ResultBuilder) -> TextDelta | ThinkingDelta | ToolCall | ToolResult | None:
        match event.event_kind:
            case "part_start":
                if event.index == 0:
                    builder.start_turn()
                return _delta(builder, event.part.part_kind, getattr(event.part, "content", None))
            case "part_delta":
                return _delta(builder, event.delta.part_delta_kind, getattr(event.delta, "content_delta", None))
            case "function_tool_call":
                return builder.add(_call(event.part))
            case "function_tool_result":
                return _tool_result(event.part)
        return None

    def _result(self, builder: ResultBuilder, result: Any) -> Result:
        messages = [ours for theirs in result.new_messages() for ours in self._messages(theirs)]
        waits = isinstance(result.output, self._ai.DeferredToolRequests)
        return replace(
            builder.result(),
            finish_reason=result.response.finish_reason,
            usage=_usage(result.usage),
            provider=result.response.provider_name or "",
            model=result.response.model_name or "",
            messages=tuple(messages),
            pending=tuple(_call(part) for part in result.output.approvals) if waits else (),
            output=None if waits or isinstance(result.output, str) else result.output,
        )

    def _messages(self, theirs: Any) -> list[Message]:
        """A message of a run as ours: a turn of the model, or the results of its calls."""
        if theirs.kind == "request":
            results = [_tool_result(part) for part in theirs.parts if part.part_kind == "tool-return"]
            return [Message("tool", r.text, name=r.name, call_id=r.id, failed=r.failed) for r in results]
        (plain,) = self._ai.ModelMessagesTypeAdapter.dump_python([theirs], mode="json")
        text = "".join(part.content for part in theirs.parts if part.part_kind == "text")
        calls = tuple(_call(part) for part in theirs.parts if part.part_kind == "tool-call")
        return [Message("assistant", text, tool_calls=calls, replay=Replay(_WIRE, plain))]

    # --- What the agent is sent

    def _history(self, messages: Sequence[Message]) -> list[Any]:
        """Ours as theirs: requests, of everything that is not the model's, and responses, by turns."""
        history: list[Any] = []
        for message in messages:
            if message.role == "assistant":
                history.append(self._response(message))
            elif history and history[-1].kind == "request":
                history[-1].parts.append(self._part(message))
            else:
                history.append(self._ai.ModelRequest(parts=[self._part(message)]))
        return history

    def _response(self, message: Message) -> Any:
        if message.replay is not None and message.replay.wire == _WIRE:
            return self._ai.ModelMessagesTypeAdapter.validate_python([message.replay.content])[0]
        parts = [self._ai.TextPart(message.text)] if message.text else []
        parts += [
            self._ai.ToolCallPart(call.name, call.arguments or {}, tool_call_id=call.id) for call in message.tool_calls
        ]
        return self._ai.ModelResponse(parts=parts)

    def _part(self, message: Message) -> Any:
        if message.role == "tool":
            outcome = "failed" if message.failed else "success"
            return self._ai.ToolReturnPart(message.name or "", message.text, message.call_id, outcome=outcome)
        if message.role == "system":
            return self._ai.SystemPromptPart(message.text)
        images = [self._image(image) for image in message.images]
        return self._ai.UserPromptPart([message.text_with_name, *images] if images else message.text_with_name)

    def _image(self, image: Image) -> Any:
        if image.data is not None:
            return self._ai.BinaryContent(image.data, media_type=image.media_type)
        return self._ai.ImageUrl(image.url)


class _StreamedArguments:
    """The arguments of calls of some tools, while the model writes them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._parts: dict[int, Any] = {}

    def take(self, event: Any) -> ToolCallDelta | None:
        """A piece of arguments; None for other events."""
        if event.event_kind == "part_start":
            self._parts.pop(event.index, None)
            if event.part.part_kind == "tool-call" and event.part.tool_name in self._names:
                self._parts[event.index] = event.part
                return self._make(event.part, event.part.args)
        elif event.event_kind == "part_delta" and event.delta.part_delta_kind == "tool_call":
            part = self._parts.get(event.index)
            return None if part is None else self._make(part, event.delta.args_delta)
        return None

    def _make(self, part: Any, args: Any) -> ToolCallDelta | None:
        return ToolCallDelta(part.tool_call_id, part.tool_name, args) if isinstance(args, str) and args else None


def _delta(builder: ResultBuilder, kind: str, text: Any) -> TextDelta | ThinkingDelta | ToolCall | None:
    if not text or not isinstance(text, str):
        return None
    if kind == "text":
        return builder.add(TextDelta(text))
    return builder.add(ThinkingDelta(text)) if kind == "thinking" else None


def _call(part: Any) -> ToolCall:
    raw = part.args if isinstance(part.args, str) else part.args_as_json_str()
    try:
        arguments = msgspec.json.decode(raw or "{}")
    except (msgspec.DecodeError, RecursionError):
        arguments = None
    return ToolCall(part.tool_call_id, part.tool_name, arguments if isinstance(arguments, dict) else None, raw)


def _tool_result(part: Any) -> ToolResult:
    failed = part.outcome in ("failed", "denied", "retried", "interrupted")
    return ToolResult(part.tool_call_id, part.tool_name, part.model_response_str(), failed)


def _usage(theirs: Any) -> Usage | None:
    """None if nothing was counted: then all of their fields are 0."""
    total = theirs.input_tokens + theirs.output_tokens
    reasoning = getattr(theirs, "output_reasoning_tokens", None)
    return (
        Usage(theirs.input_tokens, theirs.output_tokens, total, theirs.cache_read_tokens, reasoning) if total else None
    )


_CODES = {
    401: "authentication",
    403: "authentication",
    404: "model_not_found",
    413: "context_length",
    429: "rate_limited",
}


def _failure(error: Any) -> EngineError:
    """An exception of their run as ours. The body of a refusal is left out, because it may quote the request."""
    status = getattr(error, "status_code", None)
    model = getattr(error, "model_name", None)
    if status is not None:
        code = _CODES.get(status) or ("overloaded" if status in (503, 529) else "server_error")
        code = "bad_request" if code == "server_error" and status < 500 else code
        retry_after = getattr(error, "retry_after", None)
        return ProviderError(
            reader_message(code, retry_after),
            code,
            provider=_WIRE,
            status=status,
            retry_after=retry_after,
            retryable=code in ("rate_limited", "overloaded", "server_error"),
            detail=f"{model} answered with status {status}. Check the agent's model and key.",
        )
    if model is not None:
        detail = f"No connection to {model}."
        return ProviderError(
            reader_message("unreachable"), "unreachable", provider=_WIRE, retryable=True, detail=detail
        )
    if type(error).__name__ == "UsageLimitExceeded":
        message = _("The agent reached its usage limit. Ask for less at once.")
        return EngineError(message, "too_many_turns", detail=str(error))
    return ProviderError(reader_message("bad_response"), "bad_response", provider=_WIRE, detail=str(error))
