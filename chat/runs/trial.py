"""Tries an agent that is not saved yet: one question, streamed to the person who tries, who pays for it. Nothing is
stored but the spending. Called by the admin.

Its tools are offered to the model, but not called: they could send mails, or pay money back.
"""

import asyncio
import copy
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.utils.translation import get_language, gettext, override
from msgspec import Struct

from .. import agents, engine, store
from ..concurrency import detached
from ..conf import AgentConf, Price
from ..store import executor
from ..store.pricing import RemainingBudget, compute_cost, count_tokens
from .meter import Meter

logger = logging.getLogger("nous_chat.runs")

_charging: set[asyncio.Task[Any]] = set()
"""Started by `try_agent`, never cancelled; errors are logged."""


class TrialText(Struct, frozen=True, tag_field="type", tag="text"):
    text: str


class TrialThinking(Struct, frozen=True, tag_field="type", tag="thinking"):
    text: str


class TrialCall(Struct, frozen=True, tag_field="type", tag="call"):
    """A tool that the agent would call now. The trial ends with it."""

    name: str
    arguments: dict[str, Any] | None


class TrialEnd(Struct, frozen=True, tag_field="type", tag="end"):
    """The last event. `problem` is why there is no whole answer, for the reader; `detail` what the provider said."""

    model: str
    tokens: int
    cost: Decimal | None = None
    problem: str = ""
    detail: str = ""


TrialEvent = TrialText | TrialThinking | TrialCall | TrialEnd


def try_agent(
    user: Any,
    slug: str,
    settings: AgentConf,
    prompt: str,
    remaining: Sequence[RemainingBudget],
    price: Price | None,
) -> AsyncGenerator[TrialEvent, None]:
    """Stream the answer of an agent to one message. The caller has checked the user and their budgets
    (`store.check_trial`), of which so much is left. `price` is that of the model.

    Closing the stream, or cancelling the task that reads it, closes the connection to the provider. The usage, as
    reported or else estimated, is charged to `user` however this ends. Problems are in the language that is active now.
    """
    return _try(user, slug, settings, prompt, remaining, price, get_language())


async def _try(
    user: Any,
    slug: str,
    settings: AgentConf,
    prompt: str,
    remaining: Sequence[RemainingBudget],
    price: Price | None,
    language: str | None,
) -> AsyncGenerator[TrialEvent, None]:
    model = agents.model_of(settings)
    try:
        agent = agents.build(settings)
    except engine.ConfigurationError as error:
        yield _failed(model, error, language)
        return
    assert isinstance(agent, engine.Agent)
    agent = replace(agent, tools=[_uncalled(tool) for tool in agent.wrapped_tools])
    asked = [engine.Message("system", settings.instructions), engine.Message("user", prompt)]
    meter = Meter(asked, remaining, price)
    usage, end = None, TrialEnd(model, 0)
    try:
        async with aclosing(engine.run_stream(agent, prompt, context=engine.ToolContext(user=user))) as stream:
            async for event in stream:
                match event:
                    case engine.TextDelta(text):
                        meter.add_output(len(text))
                        yield TrialText(text)
                    case engine.ThinkingDelta(text):
                        meter.add_output(len(text))
                        yield TrialThinking(text)
                    case engine.ToolCall():
                        meter.add_output(len(event.raw))
                        yield TrialCall(event.name, event.arguments)
                    case engine.Finish(result):
                        usage = result.usage
                        if result.refusal:
                            yield TrialText(result.refusal)
                    case engine.Error(failure, result):
                        usage = result.usage
                        end = _failed(model, failure, language)
                if exceeded := meter.exceeded():
                    end = TrialEnd(model, 0, problem=exceeded.message)
                    break
    finally:
        usage = usage or meter.usage
        if count_tokens(usage):
            charging = detached(_charge(user, slug, model, usage), _charging)
            await asyncio.shield(charging)
    cost = None if price is None else compute_cost(usage, price)
    yield TrialEnd(model, count_tokens(usage), cost, end.problem, end.detail)


def _failed(model: str, error: engine.EngineError, language: str | None) -> TrialEnd:
    with override(language):
        return TrialEnd(model, 0, problem=error.translated(gettext), detail=error.detail)


async def _charge(user: Any, slug: str, model: str, usage: engine.Usage) -> None:
    try:
        await executor.run_request(store.charge_trial, user, slug, model, usage)
    except Exception:
        logger.exception("The trial of the agent %r could not be charged", slug)


def _uncalled(tool: "engine.Tool[..., Any]") -> "engine.Tool[..., Any]":
    """The tool as the model sees it. The engine stops at a call that waits for an approval."""
    shown = copy.copy(tool)
    shown.requires_approval, shown.stream_arguments, shown.not_called = True, False, None
    return shown
