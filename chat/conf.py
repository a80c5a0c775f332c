"""Every setting of the app with its default and its meaning; the only reader of `settings.NOUS_CHAT`.

    NOUS_CHAT = {"MODEL": "openai:gpt-4o", "DISCONNECT_GRACE": 10}

A name that is not here, or a value of another type, is an error that `manage.py check` reports.
"""

import os
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.functional import SimpleLazyObject, empty

from .engine.discover import model_from_environment


def default_model() -> str:
    """`NOUS_CHAT_MODEL`, else the provider whose key the environment holds, else the built-in demo."""
    return os.environ.get("NOUS_CHAT_MODEL") or model_from_environment(os.environ) or "demo:tour"


class AgentConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `AGENTS`; what is left out comes from the settings beside it."""

    name: str = "Assistant"
    model: str | None = None
    instructions: str = ""
    fallback: tuple[str, ...] = ()
    """Models that are asked, one after another, where the ones before them fail before their first word."""
    tools: tuple[str, ...] = ()
    """Dotted paths of functions, or of what `engine.tool` made of them."""
    deps: str = ""
    """Dotted path of a function of the user and the Conversation; its tools find what it returns as `context.deps`.
    Without it they find the Conversation."""
    agent: str = ""
    """Dotted path of an agent of the site's own: an `engine.Agent`, or anything with its `run_stream`. It answers as it
    is; of the above only `name` and `deps` then count."""
    history_tokens: int | None = None
    """How much of the conversation its model is sent, where that differs from HISTORY_TOKENS."""
    images: bool = True
    """Whether its model takes pictures. One that does not is told what was attached, and no more."""
    starters: tuple[str, ...] = ()
    """Example prompts that an empty conversation offers."""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `BUDGETS`: how much the runs of each user, in each conversation, or of the whole site may take."""

    per: Literal["user", "conversation", "site"]
    period: Literal["day", "month", "ever"] = "day"
    tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Input and output together."""
    cost: Decimal | None = None
    """In the currency of PRICES."""

    def __post_init__(self) -> None:
        if self.tokens is None and self.cost is None:
            raise ValueError("a budget needs `tokens` or `cost`")


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `PRICES`: what a million tokens cost."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """Of input that the provider had in its cache; like any other where it is left out."""


class Conf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=None):
    """The settings. Times are in seconds."""

    MODEL: str = msgspec.field(default_factory=default_model)
    """`provider:model` of agents that name none."""

    AGENTS: dict[str, AgentConf] = msgspec.field(
        default_factory=lambda: {
            "assistant": AgentConf(
                instructions="You are a helpful assistant in a chat. Answer in Markdown where it helps.",
                starters=(
                    "What can I try here?",
                    "Explain how streaming works, step by step",
                    "Write a short poem about patience",
                ),
            )
        }
    )
    """The site's agents by slug. The first is the one that a new conversation gets."""

    WEBSOCKET_URL: str = "/ws/chat/"
    """Where the sockets live; starts and ends with a slash."""

    PERMISSIONS: str = "chat.permissions.Permissions"
    """Dotted path of the class that decides who may do what."""

    CANCEL_ON_DISCONNECT: Literal["abandoned", "always", "never"] = "abandoned"
    """When leaving ends a run: nobody is reading any more; its launcher left; never."""

    DISCONNECT_GRACE: float = 5.0
    """How long a run waits for a reader to come back before it counts as abandoned."""

    DRAIN_SECONDS: float = 20.0
    """How long running answers may go on after the server was told to end."""

    HOST_TIMEOUT: float = 10.0
    """How long a process may be silent before its runs are marked interrupted."""

    MAX_RUNS: int = 100
    """How many answers one process makes at the same time; more of them wait in its queue."""

    MAX_RUNS_PER_USER: int = 8
    """How many answers are made at the same time for one person, in all processes; more of them wait."""

    MAX_QUEUED: int = 200
    """How many answers may wait in one process; what would be one more is refused as `busy`."""

    COMMAND_RATE: float = 20.0
    """How many commands a second one person may send to one process, on average."""

    COMMAND_BURST: int = 100
    """How many of them may come at once."""

    MAX_MESSAGE_CHARS: int = 32_000
    """The longest text that a person may post."""

    MAX_PARTICIPANTS: int = 500
    """How many people may be in one conversation."""

    IMAGE_HOSTS: tuple[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]+(:[0-9]+)?$")], ...] = ()
    """Hosts (`images.example.org`, with a port if it is not the usual one) whose pictures answers may show. Of any
    other host a link is shown: whoever loads a picture tells its host that he reads, and whatever its address says."""

    BUDGETS: tuple[Budget, ...] = ()
    """What runs may take: checked before one begins, and while it streams. Each is a dictionary, see `Budget`."""

    PRICES: dict[str, Price] = msgspec.field(default_factory=dict)
    """What models cost, by `provider:model`, see `Price`; runs of others have no cost."""

    CURRENCY: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "USD"
    """The currency of PRICES, an ISO 4217 code."""

    APPROVAL_TIMEOUT: float | None = 7 * 24 * 60 * 60
    """How long a tool call waits for a decision before it is rejected; None: for ever."""

    HISTORY_TOKENS: int = 32_000
    """How much of the conversation a model is sent, newest first, by the estimate of `history.py`."""

    SUMMARY_MODEL: str = ""
    """`provider:model` that sums up what does not fit into HISTORY_TOKENS; "agent": the agent's own; empty: none."""

    TITLE_MODEL: str = ""
    """`provider:model` that names a conversation after its first answer; "agent": the agent's own; empty: the
    title stays the first words."""

    UNDO_SECONDS: float = 600.0
    """How long what was deleted can be restored. After that its text is erased."""

    STORAGE: str = "default"
    """The alias in `settings.STORAGES` of the storage that keeps attachments. It need not be public."""

    IMAGE_BYTES: int = 5 * 1024 * 1024
    """The largest picture that may be attached."""

    TEXT_BYTES: int = 256 * 1024
    """The largest text file that may be attached."""

    ATTACHMENTS_PER_MESSAGE: int = 10
    """How many files a message may carry."""

    CONNECT_TIMEOUT: float = 10.0
    """How long the provider may take to accept a connection."""

    FIRST_TOKEN_TIMEOUT: float = 60.0
    """How long the provider may take to send the first token."""

    IDLE_TIMEOUT: float = 60.0
    """How long the provider may be silent between two tokens."""

    TOTAL_TIMEOUT: float = 600.0
    """How long one answer may take in all."""


def read() -> Conf:
    """`settings.NOUS_CHAT`, validated. Raises ImproperlyConfigured with the name and what is wrong."""
    given: dict[str, Any] = getattr(settings, "NOUS_CHAT", {})
    try:
        checked = msgspec.convert(given, Conf)
    except msgspec.ValidationError as error:
        raise ImproperlyConfigured(f"settings.NOUS_CHAT: {error}") from error
    if not checked.AGENTS:
        raise ImproperlyConfigured("settings.NOUS_CHAT: AGENTS needs at least one agent.")
    return checked


conf: Conf = SimpleLazyObject(read)  # type: ignore[assignment]  # reads the settings at first use


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "NOUS_CHAT":
        conf._wrapped = empty  # type: ignore[attr-defined]


setting_changed.connect(_forget)
