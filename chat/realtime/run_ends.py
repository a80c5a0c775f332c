"""The end of a run: published to its conversation, and counted. Every end comes through here once."""

import logging

from .. import agents, metrics, store
from ..protocol import events, objects
from . import groups

logger = logging.getLogger("nous_chat.runs")


async def publish(ended: store.FinishedRun) -> None:
    """Publish `run.finished` to everybody in the conversation."""
    _count(ended.run)
    event = events.RunFinished.of(ended.run, ended.message)
    await groups.publish(groups.conversation(ended.run.conversation), event)


def _count(run: objects.Run) -> None:
    logger.info("Run %s ended: %s%s", run.id, run.status, f" ({run.error.code})" if run.error else "")
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
