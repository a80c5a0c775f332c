"""The end of a run: published to its conversation, and counted. Every end comes through here once."""

import logging
from collections import Counter

from .. import agents, metrics, store
from ..engine.breaker import FAILURES, PAUSED
from ..models import Run
from ..protocol import events, objects
from . import groups

logger = logging.getLogger("nous_chat.runs")

OF_THE_MODEL = FAILURES | {"authentication", "bad_response", "configuration", "model_not_found", PAUSED}
"""The codes of errors after which other questions to the model will probably fail as well."""

FAILED_IN_A_ROW = 2
"""How many answers have to fail until people are told: one may be bad luck."""

_failed: Counter[str] = Counter()
"""How many answers have failed since the last one that was completed, by the model of their agent, in this process."""


def failing_models() -> frozenset[str]:
    """Models whose last answers in this process have failed."""
    return frozenset(model for model, failed in _failed.items() if failed >= FAILED_IN_A_ROW)


def forget() -> None:
    """No answer has failed so far."""
    _failed.clear()


async def publish(ended: store.FinishedRun) -> None:
    """Publish `run.finished` to everybody in the conversation."""
    _count(ended.run)
    event = events.RunFinished.of(ended.run, ended.message)
    await groups.publish(groups.conversation(ended.run.conversation), event)


def _count(run: objects.Run) -> None:
    logger.info("Run %s ended: %s%s", run.id, run.status, f" ({run.error.code})" if run.error else "")
    model, _ = agents.labels(run.agent.slug)
    if run.status == Run.Status.COMPLETED:
        del _failed[model]
    elif run.error is not None and run.error.code in OF_THE_MODEL:
        _failed[model] += 1
    labels = agents.labels(run.agent.slug, run.model)
    metrics.count("runs_total", 1, run.status, *labels)
    if run.error is not None:
        metrics.count("run_errors_total", 1, run.error.code, *labels)
    for kind, tokens in _tokens(run).items():
        metrics.count("tokens_total", tokens or 0, kind, *labels)


def _tokens(run: objects.Run) -> dict[str, int | None]:
    """As the provider counted them; if it did not, the estimated output."""
    if run.usage is None:
        return {"output": run.tokens}
    usage = run.usage
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cached": usage.cached_tokens,
        "reasoning": usage.reasoning_tokens,
    }
