"""An agent and a question in, events out, the last being Finish or Error. Sites and scripts call it; it asks models
(retry.py), calls tools (calls.py), and asks again with what they gave, until the model wants nothing more."""

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from .agent import Agent
from .approvals import Approve, Decision, Reject, checked, pending
from .custom_agent import OwnAgent, relay
from .events import Error, Event, Finish, TextDelta, ThinkingDelta, ToolCall, ToolResult
from .exceptions import EngineError, internal
from .i18n import _
from .messages import Message, Result
from .providers.provider import Completion, Request
from .result_builder import Answer
from .retry import Models, TotalTime
from .schema import Misfit
from .structured_output import Output, correction
from .tool_runner import Toolbox
from .tools import ToolContext

logger = logging.getLogger("nous_chat.engine")


def run_stream(
    agent: Agent | OwnAgent, prompt: str | Sequence[Message], *, context: ToolContext | None = None
) -> AsyncGenerator[Event, None]:
    """The agent's answer to a prompt, or to the last of the messages, as it is made. `context` is what its tools get.

    Never raises for what a provider or a tool does: the last event is exactly one Finish or Error. Closing the stream,
    or cancelling the task that reads it, closes the provider's connection and cancels the tools at once; close it in
    that same task (`async with aclosing(...)`) wherever the loop over it may be left early.

    An Agent's tools are called, and the model goes on with their results. Where calls wait for a person, the stream
    finishes with `Result.pending`; `resume` goes on. `Result.messages` are what to add to the history. An Agent without
    tools leaves all calls to its caller.
    """
    messages = [Message("user", prompt)] if isinstance(prompt, str) else list(prompt)
    context = context or ToolContext()
    return _Run(agent, messages, context).stream() if isinstance(agent, Agent) else relay(agent, messages, context)


def resume(
    agent: Agent | OwnAgent,
    messages: Sequence[Message],
    decisions: Mapping[str, Decision],
    *,
    context: ToolContext | None = None,
) -> AsyncGenerator[Event, None]:
    """Goes on after people's decisions: a stream like that of run_stream, with a Result of this part alone.

    `messages` are the history and the `Result.messages` of the stream that ended with `pending` calls; `decisions` hold
    Approve or Reject for the id of each of them. What was approved is called, then the model is asked again.
    """
    messages, context = list(messages), context or ToolContext()
    if isinstance(agent, Agent):
        return _Run(agent, messages, context).stream(decisions)
    return relay(agent, messages, context, decisions)


async def run(
    agent: Agent | OwnAgent, prompt: str | Sequence[Message], *, context: ToolContext | None = None
) -> Result:
    """The same, folded: the whole answer. Raises the EngineError that would have been in the Error."""
    async with aclosing(run_stream(agent, prompt, context=context)) as stream:
        async for event in stream:
            match event:
                case Finish(result):
                    return result
                case Error(error):
                    raise error
    raise AssertionError("a stream ends with Finish or Error")


class _Run:
    """One run of an Agent. `history` is what the next request sends, `answer` what the reader gets."""

    def __init__(self, agent: Agent, history: list[Message], context: ToolContext) -> None:
        self.agent = agent
        self.history = history
        self.answer = Answer(call.id for message in history for call in message.tool_calls)
        self.tools = Toolbox(agent.toolbox, context)

    async def stream(self, decisions: Mapping[str, Decision] | None = None) -> AsyncGenerator[Event, None]:
        """What happens, then how it ended."""
        end: Finish | Error
        try:
            async with aclosing(self._steps(decisions)) as steps:
                async for event in steps:
                    yield event
            end = Finish(self.answer.result())
        except EngineError as error:
            end = Error(error, self.answer.result())
        except Exception:
            logger.exception("Agent %r failed", self.agent.name)
            end = Error(internal(), self.answer.result())
        yield end

    async def _steps(self, decisions: Mapping[str, Decision] | None) -> AsyncGenerator[Event, None]:
        """A turn of the model, the calls that it asks for, and so on."""
        limits = self.agent.limits
        self.time = TotalTime(limits)
        self.models = Models(self.agent, self.time)
        self.output = None if self.agent.output_type is None else Output(self.agent.output_type)
        corrections = 0
        if decisions is not None:
            async with aclosing(self._decided(decisions)) as results:
                async for result in results:
                    yield result
        for number in range(1, limits.max_turns + 1):
            async with aclosing(self._turn()) as deltas:
                async for delta in deltas:
                    yield delta
            turn = self.answer.end()
            last = number == limits.max_turns
            if turn.tool_calls and self.tools.specs:
                self._keep(turn)
                refused = {call.id: _TOO_MANY for call in turn.tool_calls[limits.max_calls :]}
                waiting = tuple(c for c in turn.tool_calls if c.id not in refused and self.tools.waits(c))
                calls = [call for call in turn.tool_calls if call not in waiting]
                if last and not waiting:
                    refused = {call.id: _TOO_LATE for call in calls}
                async with aclosing(self._results(calls, refused)) as results:
                    async for result in results:
                        yield result
                if waiting:
                    self.answer.pending = waiting
                    return
                continue
            problem = self._read(turn)
            if problem is not None and corrections < limits.max_corrections and not last:
                corrections += 1
                self.history += [turn, Message("user", correction(problem))]
                continue
            self._keep(turn)
            if problem is None:
                return
            raise EngineError(
                _("The model did not answer in the form that was asked of it. %(problem)s", problem=str(problem)),
                "invalid_output",
            )
        raise EngineError(
            _(
                "The model asked for tools %(count)s times and was still not done. Ask for less at once.",
                count=str(limits.max_turns),
            ),
            "too_many_turns",
        )

    async def _turn(self) -> AsyncGenerator[TextDelta | ThinkingDelta | ToolCall, None]:
        """One request, and the answer to it."""
        answer, agent = self.answer, self.agent
        schema = self.output.schema if self.output else None
        messages = tuple(self.history)
        request = Request(messages, agent.instructions, agent.limits, agent.settings, self.tools.specs, schema)
        answer.begin()
        try:
            async with aclosing(self.models.stream(request)) as stream:
                async for event in stream:
                    if isinstance(event, Completion):
                        answer.complete(event)
                    elif isinstance(event, ToolCall) and self.tools.specs:
                        yield answer.add(answer.named(event))
                    else:
                        yield answer.add(event)
        finally:
            answer.provider, answer.model = self.models.provider.name, self.models.provider.model

    def _decided(self, decisions: Mapping[str, Decision]) -> AsyncGenerator[ToolResult, None]:
        """The results of the calls that waited."""
        waiting = pending(self.history)
        checked(waiting, decisions)
        calls, refused, changed = [], {}, {}
        for call in waiting:
            match decisions[call.id]:
                case Reject() as decision:
                    refused[call.id] = decision.sentence
                case Approve(dict(arguments)):
                    written = msgspec.json.encode(arguments).decode()
                    changed[call.id] = f"(A person changed the arguments to {written}.)\n"
                    call = replace(call, arguments=arguments, raw=written)
            calls.append(call)
        return self._results(calls, refused, changed)

    async def _results(
        self, calls: Sequence[ToolCall], refused: Mapping[str, str], noted: Mapping[str, str] = MappingProxyType({})
    ) -> AsyncGenerator[ToolResult, None]:
        """A result for each call, as they come: why it is `refused`, or what its tool gives, after what is `noted`. The
        history gets them in the order of the calls."""
        results: dict[str, ToolResult] = {}
        try:
            for call in calls:
                if call.id in refused:
                    results[call.id] = ToolResult(call.id, call.name, refused[call.id], failed=True)
                    yield results[call.id]
            allowed = [call for call in calls if call.id not in refused]
            async with aclosing(self.tools.run(allowed, self.time.until)) as stream:
                async for result in stream:
                    results[result.id] = replace(result, text=noted.get(result.id, "") + result.text)
                    yield results[result.id]
        except TimeoutError:
            raise self.time.error(self.models.provider.name) from None
        finally:
            self._keep(*(_message(results[call.id]) for call in calls if call.id in results))

    def _read(self, turn: Message) -> Misfit | None:
        """What is wrong with the answer, if it has to have a form. A refusal has none."""
        if self.output is None or (self.answer.refused and not turn.text):
            return None
        try:
            self.answer.output = self.output.read(turn.text)
        except Misfit as problem:
            return problem
        return None

    def _keep(self, *messages: Message) -> None:
        """Add to the history, for this run and for those to come."""
        said = [message for message in messages if message.text or message.tool_calls or message.role == "tool"]
        self.history += said
        self.answer.messages += said


_TOO_MANY = "Not called: that were too many calls at once. Ask for it again."
_TOO_LATE = "Not called: this answer has taken too many turns already."


def _message(result: ToolResult) -> Message:
    return Message("tool", result.text, name=result.name, call_id=result.id, failed=result.failed)
