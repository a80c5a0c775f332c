"""What the pages of the dashboard say: the sentences of their scripts, and the heads of their tables."""

from typing import NamedTuple

from django.utils.translation import gettext as _


class Column(NamedTuple):
    """The head of a column."""

    title: str
    number: bool = False
    hidden: bool = False
    """Only for screen readers: what is in it speaks for itself."""


def columns(stops: bool) -> dict[str, list[Column]]:
    """The columns of each table, in the order in which the scripts fill them. `stops`: whether runs have Stop."""
    measured = [
        Column(_("Answers"), number=True),
        Column(_("Tokens per second"), number=True),
        Column(_("Ended in the last hour"), number=True),
        Column(_("With errors"), number=True),
    ]
    first_token = [
        Column(_("First token, median"), number=True),
        Column(_("First token, 95th percentile"), number=True),
    ]
    return {
        "runs": [
            Column(_("Conversation")),
            *([Column(_("Stop"), hidden=True)] if stops else []),
            Column(_("Agent")),
            Column(_("Model")),
            Column(_("State")),
            Column(_("Age"), number=True),
            Column(_("Tokens"), number=True),
            Column(_("Process")),
        ],
        "hour": [Column(_("Time"))],
        "processes": [
            Column(_("Process")),
            Column(_("State")),
            Column(_("Answers"), number=True),
            Column(_("Waiting"), number=True),
            Column(_("Tokens per second"), number=True),
            Column(_("Sockets"), number=True),
            Column(_("Delay of deltas"), number=True),
            Column(_("Gaps healed"), number=True),
            Column(_("Slow readers"), number=True),
            Column(_("Database line"), number=True),
            Column(_("CPU"), number=True),
        ],
        "providers": [
            Column(_("Provider")),
            Column(_("Answers"), number=True),
            Column(_("With errors"), number=True),
            Column(_("Last failure")),
            *first_token,
            Column(_("Models that are not asked")),
        ],
        "breakers": [
            Column(_("Model")),
            Column(_("State")),
            Column(_("Failures in a row"), number=True),
            Column(_("Last failure")),
            Column(_("Setting")),
        ],
        "models": [Column(_("Model")), *measured, *first_token],
        "agents": [Column(_("Agent")), *measured, *first_token],
        "errors": [Column(_("Code")), Column(_("Model")), Column(_("Number"), number=True)],
        "checks": [Column(_("Code")), Column(_("Message"))],
    }


def connection_words() -> dict[str, str]:
    """What both pages say of their socket."""
    return {
        "connecting": _("Connecting."),
        "live": _("Live"),
        "reconnecting": _("The connection was lost. Trying again."),
        "closed": _("You can't see this any more. Reload the page to sign in again."),
    }


def log_words() -> dict[str, str]:
    return {
        "shown": _("{shown} of {kept} lines"),
        "dropped": _("{count} lines were left out, because there were too many."),
        "only": _("Only lines with {name} {value}"),
        "traceback": _("Traceback"),
        "conversation": _("conversation"),
        "run": _("run"),
        "user": _("user"),
    }


def words() -> dict[str, str]:
    """The sentences that the page's script writes. `{name}` stands for a value."""
    return {
        **connection_words(),
        "stop": _("Stop"),
        "stopOf": _("Stop the answer of {agent} in {conversation}"),
        "stopping": _("Stopping"),
        "stopped": _("The answer is stopped."),
        "queued": _("waiting"),
        "running": _("running"),
        "stuck": _("nothing for {seconds} s"),
        "hangs": _("its process does not answer"),
        "isStuck": _("An answer is stuck: {agent}, {conversation}."),
        "answers": _("up"),
        "silent": _("silent for {seconds} s"),
        "draining": _("about to end"),
        "up": _("in touch"),
        "away": _("away"),
        "seconds": _("{value} s"),
        "milliseconds": _("{value} ms"),
        "none": _("none"),
        "never": _("never"),
        "lastFailure": _("{time} ({code})"),
        "breakerClosed": _("closed"),
        "breakerOpen": _("open in {count} of {all} processes"),
        "breakerHalfOpen": _("half open in {count} of {all} processes"),
        "breakerOf": _("Circuit breaker of {model}"),
        "breakerSet": _("The circuit breaker of {model} is set. All processes follow within three seconds."),
        "breakerFailed": _("The circuit breaker of {model} could not be set."),
        "set": _("Set"),
        "setBreaker": _("Set the circuit breaker of {model}"),
        "statusFailed": _("The state of the system could not be loaded."),
        "answersIn": _("{what}, answers in {time}"),
        "fails": _("{what}, does not answer"),
        "elsewhere": _("not on this server"),
        "free": _("{free} of {total} free"),
        "noMigrations": _("none"),
        "highest": _("{title}: now {now}, at most {most} in the last hour"),
        "median": _("median"),
        "p95": _("95th percentile"),
        "active": _("being made"),
        "waiting": _("waiting"),
        "tokensChart": _("Tokens per second"),
        "runsChart": _("Answers at a time"),
        "firstChart": _("Time to the first token"),
        "lagChart": _("Delay of deltas"),
        "errorsChart": _("Errors per minute"),
        "socketsChart": _("Open sockets"),
        "gapsChart": _("Gaps healed per minute"),
        "slowChart": _("Slow readers per minute"),
        "databaseChart": _("Waiting for the database"),
    }
