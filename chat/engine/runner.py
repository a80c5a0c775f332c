"""Runs an agent: a question in, events out, the last of them Finish or Error. Sites and scripts call it.

It asks the model (retry.py), runs the tool calls (tool_runner.py), and asks again with their results, until the model
makes no more calls.
"""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from .agent import Agent
from .approvals import Approve, Decision, Reject, check_decisions, pending_calls
from .custom_agent import CustomAgent, relay
from .events import (
    Error,
    Event,
    Fallback,
    Finish,
    RetryWait,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
)
from .exceptions import TOO_LARGE, EngineError, internal_error
from .i18n import _
from .limits import AnswerSize
from .messages import MAX_DEPTH, Message, Result, is_deeper
from .providers.provider import Completion, Request
from .result_builder import ResultBuilder
from .retry import ModelChain, RunDeadline
from .schema import SchemaMismatch
from .structured_output import OutputType, correction_prompt
from .telemetry import NOTHING, Span, provider_of, run_span
from .tool_runner import ToolRunner
from .tools import ToolContext

logger = logging.getLogger("nous_chat.engine")


def run_stream(
    agent: Agent | CustomAgent,
    prompt: str | Sequence[Message],
    *,
    context: ToolContext | None = None,
    before: Result | None = None,
) -> AsyncGenerator[Event, None]:
    """Stream the agent's answer to a prompt, or to the last of the messages. `context` is passed to its tools.

    Never raises because of a provider or a tool: the last event is exactly one Finish or Error. Closing the stream, or
    cancelling the task that reads it, closes the provider's connection and cancels the tools at once. If the loop over
    it may end early, close it in the same task (`async with aclosing(...)`).

    The tools of an Agent are called, and the model continues with their results. If calls need approval, the stream
    finishes with `Result.pending`, and `resume` continues it. `Result.messages` are what to add to the history. An
    Agent without tools leaves all calls to its caller.

    If the stream adds to an answer that readers have a part of already, pass that part as `before`: the first words
    follow its `text` after a blank line, the first thoughts follow its `thinking`. Leave its `text` empty to continue
    in the middle of a sentence.
    """
    messages = [Message("user", prompt)] if isinstance(prompt, str) else list(prompt)
    context = context or ToolContext()
    if isinstance(agent, Agent):
        return _Run(agent, messages, context, before).stream()
    return relay(agent, messages, context, before=before)


def resume(
    agent: Agent | CustomAgent,
    messages: Sequence[Message],
    decisions: Mapping[str, Decision],
    *,
    context: ToolContext | None = None,
    before: Result | None = None,
) -> AsyncGenerator[Event, None]:
    """Continue after people's decisions: a stream like that of run_stream, with a Result of this part only.

    `messages` are the history, including the `Result.messages` of the stream that ended with `pending` calls.
    `decisions` maps the id of each of these calls to Approve or Reject. Approved calls are made, then the model is
    asked again. `before` is as for run_stream: pass the Result with the `pending` calls.
    """
    messages, context = list(messages), context or ToolContext()
    if isinstance(agent, Agent):
        return _Run(agent, messages, context, before).stream(decisions)
    return relay(agent, messages, context, decisions, before)


async def run(
    agent: Agent | CustomAgent, prompt: str | Sequence[Message], *, context: ToolContext | None = None
) -> Result:
    """Like run_stream, but returns the Result. Raises the EngineError of an Error event."""
    async with aclosing(run_stream(agent, prompt, context=context)) as stream:
        async for event in stream:
            match event:
                case Finish(result):
                    return result
                case Error(error):
                    raise error
    raise AssertionError("a stream ends with Finish or Error")


_TurnEvent = TextDelta | ThinkingDelta | ToolCallDelta | ToolCall | RetryWait | Fallback


class _Run:
    """One run of an Agent. `history` is what the next request sends, `builder` collects what readers get."""

    def __init__(self, agent: Agent, history: list[Message], context: ToolContext, before: Result | None) -> None:
        self.agent = agent
        self.history = history
        self.builder = ResultBuilder((call.id for message in history for call in message.tool_calls), before)
        self.context = context
        self.tools = ToolRunner((*agent.wrapped_tools, *context.tools), context, agent.trace_content)
        self.span: Span = NOTHING
        self.size = AnswerSize(agent.limits)
        self.argument_chars = 0  # of the current turn
        self.delta_chars = 0  # of arguments, before their calls
        self.begun_calls = 0  # in this turn
        self.begun: dict[str, ToolCallDelta] = {}  # the last delta of each call that is not complete, by provider's id
        self.too_long: set[str] = set()  # ids of the current turn's calls that have too long arguments

    async def stream(self, decisions: Mapping[str, Decision] | None = None) -> AsyncGenerator[Event, None]:
        end: Finish | Error
        with run_span(self.agent.name, self.context.trace_attributes) as span:
            self.tools.span = self.span = span
            try:
                async with aclosing(self._steps(decisions)) as steps:
                    async for event in steps:
                        yield event
                end = Finish(self.builder.result())
            except EngineError as error:
                end = Error(error, self.builder.result())
            except Exception:
                logger.exception("Agent %r failed", self.agent.name)
                end = Error(internal_error(), self.builder.result())
            if isinstance(end, Error):
                span.fail(end.error.code)
        yield end

    async def _steps(self, decisions: Mapping[str, Decision] | None) -> AsyncGenerator[Event, None]:
        """A turn of the model, the calls that it makes, the next turn, and so on."""
        limits = self.agent.limits
        self.deadline = RunDeadline(limits)
        self.models = ModelChain(self.agent, self.deadline, span=self.span)
        self.span.set(provider_of(self.models.provider))
        self.output_type = None if self.agent.output_type is None else OutputType(self.agent.output_type)
        corrections = 0
        if decisions is not None:
            async with aclosing(self._apply_decisions(decisions)) as results:
                async for result in results:
                    yield result
        for number in range(1, limits.max_turns + 1):
            async with aclosing(self._turn()) as deltas:
                async for delta in deltas:
                    yield delta
            turn = self.builder.end_turn()
            is_last = number == limits.max_turns
            if turn.tool_calls and self.tools.specs:
                self._keep(turn)
                refused = self._refuse_calls(turn.tool_calls)
                waiting = tuple(c for c in turn.tool_calls if c.id not in refused and self.tools.needs_approval(c))
                calls = [call for call in turn.tool_calls if call not in waiting]
                if is_last and not waiting:
                    refused = {call.id: _TOO_MANY_TURNS for call in calls}
                async with aclosing(self._run_calls(calls, refused)) as results:
                    async for result in results:
                        yield result
                if waiting:
                    self.builder.pending = waiting
                    return
                continue
            problem = self._parse_output(turn)
            if problem is not None and corrections < limits.max_corrections and not is_last:
                corrections += 1
                self.history += [turn, Message("user", correction_prompt(problem))]
                continue
            self._keep(turn)
            if problem is None:
                return
            message = _("The model did not answer in the requested form. Try again.")
            raise EngineError(message, "invalid_output", detail=f"The answer does not match the output_type. {problem}")
        count = str(limits.max_turns)
        message = _("The model used its tools %(count)s times without finishing. Ask for less at once.", count=count)
        raise EngineError(message, "too_many_turns")

    async def _turn(self) -> AsyncGenerator[_TurnEvent, None]:
        """One request and the answer to it."""
        builder, agent = self.builder, self.agent
        schema = self.output_type.schema if self.output_type else None
        messages = tuple(self.history)
        request = Request(
            messages, agent.instructions, agent.limits, agent.settings, self.tools.specs, schema, agent.sampling
        )
        builder.start_turn()
        self.argument_chars = self.delta_chars = self.begun_calls = 0
        self.begun.clear()
        self.too_long.clear()
        try:
            async with aclosing(self.models.stream(request)) as stream:
                async for event in stream:
                    if isinstance(event, Completion):
                        builder.set_completion(event)
                    elif isinstance(event, RetryWait | Fallback):
                        yield event
                    elif isinstance(event, ToolCallDelta):
                        if (keyed := self._with_key(event)) is not None:
                            yield keyed
                    elif not isinstance(event, ToolCall):
                        text, error = self.size.cut(event.kind, event.text)
                        if text or not error:
                            yield builder.add(replace(event, text=text))
                        if error:
                            raise error
                    else:
                        yield builder.add(self._accept(event))
        finally:
            builder.provider, builder.model = self.models.provider.name, self.models.provider.model

    def _with_key(self, delta: ToolCallDelta) -> ToolCallDelta | None:
        """The delta with the id that its call will have. None for calls that are refused because there are too many.
        Raises EngineError if there is too much of them.
        """
        self.delta_chars += len(delta.text)
        if excess := self.agent.limits.excess(0, self.delta_chars):
            raise EngineError(TOO_LARGE, "answer_too_large", detail=f"The model sent {excess} in one turn.")
        before = self.begun.get(delta.id)
        if before is None and self.begun_calls >= self.agent.limits.max_calls:
            return None
        self.begun_calls += before is None
        key = self.builder.reserve_key() if before is None else before.id
        self.begun[delta.id] = replace(delta, id=key)
        return self.begun[delta.id]

    def _take_begun(self, name: str) -> str | None:
        """The id that the first of the calls of this tool got when its arguments began to come."""
        for provider_id, delta in self.begun.items():
            if delta.name == name:
                del self.begun[provider_id]
                return delta.id
        return None

    def _accept(self, call: ToolCall) -> ToolCall:
        """The call as readers and the history get it. Raises EngineError if a turn has too many."""
        limits, builder = self.agent.limits, self.builder
        self.argument_chars += len(call.raw)
        if excess := limits.excess(builder.turn_calls + 1, self.argument_chars):
            raise EngineError(TOO_LARGE, "answer_too_large", detail=f"The model sent {excess} in one turn.")
        provider = self.models.provider
        call = replace(call, name=call.name[:_MAX_NAME_CHARS])
        call = builder.with_key(call, f"{provider.name}:{provider.model}", self._take_begun(call.name))
        if self.argument_chars > limits.max_argument_chars:
            self.too_long.add(call.id)
            call = replace(call, arguments=None, raw=call.raw[:_MAX_NAME_CHARS])
        return replace(call, arguments=None) if is_deeper(call.arguments, MAX_DEPTH) else call

    def _refuse_calls(self, calls: Sequence[ToolCall]) -> dict[str, str]:
        """The calls of a turn that are not made, by id, with what the model is told about each."""
        limits = self.agent.limits
        refused = {call.id: _TOO_MANY_CALLS for call in calls[limits.max_calls :]}
        return refused | dict.fromkeys(self.too_long, _TOO_LONG % f"{limits.max_argument_chars:,}")

    def _apply_decisions(self, decisions: Mapping[str, Decision]) -> AsyncGenerator[ToolResult, None]:
        """The results of the calls that waited for approval."""
        waiting = pending_calls(self.history)
        check_decisions(waiting, decisions)
        calls, refused, notes = [], {}, {}
        for call in waiting:
            match decisions[call.id]:
                case Reject() as decision:
                    refused[call.id] = decision.result_text
                case Approve(dict(arguments)):
                    raw = msgspec.json.encode(arguments).decode()
                    notes[call.id] = f"(A person changed the arguments to {raw}.)\n"
                    call = replace(call, arguments=arguments, raw=raw)
            calls.append(call)
        return self._run_calls(calls, refused, notes)

    async def _run_calls(
        self, calls: Sequence[ToolCall], refused: Mapping[str, str], notes: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncGenerator[ToolResult, None]:
        """Yield a result for each call as it finishes: the text in `refused`, or the tool's result after the text in
        `notes`, both by call id. The history gets the results in the order of the calls."""
        results: dict[str, ToolResult] = {}
        try:
            for call in calls:
                if call.id in refused:
                    results[call.id] = await self.tools.refuse(call, refused[call.id])
                    yield results[call.id]
            allowed = [call for call in calls if call.id not in refused]
            async with aclosing(self.tools.run(allowed, self.deadline.time)) as stream:
                async for result in stream:
                    results[result.id] = replace(result, text=notes.get(result.id, "") + result.text)
                    yield results[result.id]
        except TimeoutError:
            raise self.deadline.error(self.models.provider.name) from None
        finally:
            self._keep(*(_message(results[call.id]) for call in calls if call.id in results))

    def _parse_output(self, turn: Message) -> SchemaMismatch | None:
        """Set `output`, or return why the answer does not match the output type. A refusal need not match."""
        if self.output_type is None or (self.builder.refused and not turn.text):
            return None
        try:
            self.builder.output = self.output_type.parse(turn.text)
        except SchemaMismatch as problem:
            return problem
        return None

    def _keep(self, *messages: Message) -> None:
        """Add messages to the history, and to what the run adds to the caller's history."""
        kept = [message for message in messages if message.text or message.tool_calls or message.role == "tool"]
        self.history += kept
        self.builder.messages += kept


_MAX_NAME_CHARS = 200  # names of tools have up to 64

_TOO_LONG = "Not called: the arguments of the calls in one turn may have %s characters. Write less at once."
_TOO_MANY_CALLS = "Not called: there were too many calls at once. Ask for it again."
_TOO_MANY_TURNS = "Not called: this answer has taken too many turns already."


def _message(result: ToolResult) -> Message:
    return Message("tool", result.text, name=result.name, call_id=result.id, failed=result.failed)
