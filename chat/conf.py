"""The app's settings, with their defaults. Nothing else reads `settings.NOUS_CHAT`.

    NOUS_CHAT = {"MODEL": "openai:gpt-4o", "DISCONNECT_GRACE": 10}

`manage.py check` reports unknown names and values of the wrong type.
"""

import os
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .engine.discover import model_from_environment
from .engine.providers.provider import ReasoningEffort

PICTURE_ADDRESS = r"(https://|/(?![/\\]))[^\s\"'<>\\]{1,500}"
"""The addresses that browsers may load pictures of people and agents from: paths of this site, and `https://`."""


def default_model() -> str:
    """The environment's `NOUS_CHAT_MODEL`, else a provider whose API key is set, else the built-in demo."""
    return os.environ.get("NOUS_CHAT_MODEL") or model_from_environment(os.environ) or "demo:tour"


class AgentConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `AGENTS`."""

    name: str = "Assistant"
    description: str = ""
    """What it is for, in a sentence that an empty conversation shows."""
    picture: Annotated[str, msgspec.Meta(pattern=f"^({PICTURE_ADDRESS})?$")] = ""
    """Address of its picture: a path on this site, or one that begins with `https://`. If empty, the page shows
    initials."""
    model: str | None = None
    """`provider:model`; None means MODEL."""
    instructions: str = ""
    fallback: tuple[str, ...] = ()
    """Models to try next, in order, if a model fails before its first token."""
    settings: dict[str, Any] = {}
    """Fields added to the provider's request, such as `{"top_p": 0.9}`; None leaves out a field that is usually sent,
    such as `{"stream_options": None}`. Models of `fallback` get them only if they belong to the same provider."""
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    """How much its answers vary, from 0 to 2; None means the model's default. Not every model accepts one."""
    reasoning_effort: ReasoningEffort | None = None
    """How much it thinks before it answers; None means the model's default. Not every model can."""
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The longest answer, in tokens; None means the model's own limit."""
    max_turns: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    """How many requests to the model one answer may take: each round of tools takes one more."""
    total_timeout: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """This agent's TOTAL_TIMEOUT; None means the site's."""
    tools: tuple[str, ...] = ()
    """Dotted paths of functions, plain or decorated with `engine.tool`."""
    documents: bool = False
    """Whether it can create, read, and change the conversation's documents, with tools for that."""
    deps: str = ""
    """Dotted path of a function that gets the user and the Conversation. What it returns is `context.deps` in the
    agent's tools. Without it, `context.deps` is the Conversation."""
    agent: str = ""
    """Dotted path of a custom agent: an `engine.Agent`, or any object with the same `run_stream`. It brings its own
    model, instructions, and tools, so of the fields above only `name` and `deps` apply."""
    history_tokens: int | None = None
    """This agent's HISTORY_TOKENS; None means the site's."""
    images: bool = True
    """Whether its model accepts images. If not, it is told only the names of attached images."""
    starters: tuple[str, ...] = ()
    """Example prompts, offered in an empty conversation."""
    groups: tuple[str, ...] = ()
    """Names of the groups whose members can use it; if empty, everybody can."""


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `BUDGETS`: a limit for the runs of each user, in each conversation, or of the whole site."""

    per: Literal["user", "conversation", "site"]
    period: Literal["day", "month", "ever"] = "day"
    tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Input and output tokens together."""
    cost: Decimal | None = None
    """In the currency of PRICES."""

    def __post_init__(self) -> None:
        if self.tokens is None and self.cost is None:
            raise ValueError("a budget needs `tokens` or `cost`")


class GuestConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The setting `GUESTS`: what visitors without an account may do."""

    messages: Annotated[int, msgspec.Meta(ge=1)] = 20
    """How many messages a guest may send, and how many answers they may ask for."""
    keep: Annotated[float, msgspec.Meta(ge=0)] = 7 * 24 * 60 * 60
    """How long a guest and their conversation are kept after the last message, in seconds."""
    per_address: Annotated[int, msgspec.Meta(ge=1)] = 10
    """How many guests may begin in an hour from one address, in one process."""
    per_second: Annotated[float, msgspec.Meta(gt=0)] = 1
    """How many guests may begin in a second in one process, whatever their addresses. Further ones wait for it."""
    most: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """How many guests the site keeps at the same time. Further visitors have to sign in."""
    runs: Annotated[int, msgspec.Meta(ge=1)] = 25
    """How many answers to guests one process makes at the same time. Further ones wait; those to users do not."""
    budgets: tuple[Budget, ...] = ()
    """Budgets of guests, in addition to BUDGETS."""


class RetentionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `RETENTION`: how long conversations are kept after their last change. The first rule that fits a
    conversation is the one for it."""

    kind: Literal["listed", "room", "guest", "unlisted"] | None = None
    """Only conversations of this kind: in people's lists, of an object of the site, of a guest, or in no list."""
    agent: str | None = None
    """Only conversations whose first agent has this slug."""
    min_days: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Nothing of them is erased before. What people delete is hidden from then on, and kept until then."""
    max_days: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """They are erased after that."""

    def __post_init__(self) -> None:
        if self.min_days is None and self.max_days is None:
            raise ValueError("a rule needs `min_days` or `max_days`")
        if self.min_days is not None and self.max_days is not None and self.min_days > self.max_days:
            raise ValueError("`min_days` must not be more than `max_days`")


class ProviderConf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `PROVIDERS`. A field that is "" is read from the environment."""

    api_key: str = ""
    base_url: str = ""

    def __repr__(self) -> str:
        return "ProviderConf(...)"  # the key belongs in no log


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `PRICES`: the price of a million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    """For input tokens that the provider read from its cache; None means the price of other input."""


class Conf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=None):
    """The settings. Times are in seconds."""

    MODEL: str = msgspec.field(default_factory=default_model)
    """`provider:model` of agents without a `model`."""

    AGENTS: dict[str, AgentConf] = msgspec.field(
        default_factory=lambda: {
            "assistant": AgentConf(
                instructions="You are a helpful assistant in a chat. Answer in Markdown where it helps.",
                starters=(
                    "What can I try here?",
                    "Write a report",
                    "Write a program",
                    "Fill a table",
                ),
            )
        }
    )
    """The site's agents by slug. New conversations get the first one."""

    TOOLS: tuple[str, ...] = ()
    """Dotted paths of tools that agents in the database may have, in addition to the tools of AGENTS."""

    PROVIDERS: dict[str, ProviderConf] = {}
    """Keys and addresses of providers by name, for sites that do not keep them in the environment."""

    WEBSOCKET_URL: str = "/ws/chat/"
    """Path of the WebSockets; starts and ends with a slash."""

    PERMISSIONS: str = f"{__package__}.permissions.Permissions"
    """Dotted path of the permissions class: who may do what."""

    AUTHENTICATE: str = ""
    """Dotted path of a function that finds the user of the site's own bearer tokens: it gets a request with an
    `Authorization: Bearer` header that holds no token of the chat, and returns the user, or None."""

    SEAL_TRANSCRIPTS: bool = False
    """Keeps the content of conversations from everybody in Django's admin, superusers too: titles, messages, files,
    documents, and exports."""

    REQUIRE_REASON: bool = False
    """Asks staff for a reason, which the admin's log keeps, before they read or export a conversation."""

    GUESTS: GuestConf | None = None
    """Lets visitors without an account chat, within these limits: a dictionary with the fields of `GuestConf`, `{}` for
    its defaults. None lets nobody."""

    METRICS_TOKEN: str = ""
    """The bearer token with which a monitoring system reads `/chat/metrics`, at least 32 random characters. Without
    one, only staff can."""

    CORS_ORIGINS: tuple[Annotated[str, msgspec.Meta(pattern=r"^https?://[a-z0-9.:\[\]-]+$")], ...] = ()
    """Origins of other sites whose pages may use the API with a token, such as `https://app.example.org`."""

    BEFORE_MODEL: str = ""
    """Dotted path of a function `(context, text)` that returns the text of a user's message as it is stored and sent to
    models. If it raises, the message is refused."""

    AFTER_MODEL: str = ""
    """Dotted path of a function `(context, text)` that returns an answer's text as it is shown. Answers then appear
    as a whole. If it raises, the answer is withheld."""

    CANCEL_ON_DISCONNECT: Literal["abandoned", "always", "never"] = "abandoned"
    """When disconnecting stops a run: `abandoned`, if nobody in the conversation is reading any more; `always`, as soon
    as the user who started it disconnects; `never`."""

    DISCONNECT_GRACE: float = 5.0
    """How long an abandoned run waits for a reader to return before it is stopped."""

    DRAIN_SECONDS: float = 20.0
    """How long running answers may continue after the server received SIGTERM."""

    HOST_TIMEOUT: float = 10.0
    """How long a process may go without a heartbeat before its runs are marked interrupted."""

    MAX_RUNS: int = 100
    """How many runs are active in one process at the same time. Further ones wait in its queue."""

    MAX_RUNS_PER_USER: int = 8
    """How many runs of one user are active at the same time, across processes. Further ones wait."""

    MAX_QUEUED: int = 200
    """How many runs may wait in one process. Further ones are refused as `busy`."""

    BREAKER_FAILURES: int = 5
    """How many requests to a model must fail in a row, in one process, before it is not asked for a while. 0: it is
    always asked."""

    BREAKER_SECONDS: float = 30.0
    """How long it is not asked, before one request tries again."""

    TRACE_CONTENT: bool = False
    """Whether the spans of OpenTelemetry hold texts: instructions, messages, arguments and results of tools."""

    INSPECTION_SECONDS: float = 7 * 24 * 60 * 60
    """How long recordings of the run inspector are kept before they are erased."""

    COMMAND_RATE: float = 20.0
    """How many commands a second a user may send to one process, on average."""

    COMMAND_BURST: int = 100
    """How many commands a user may send at once."""

    MAX_MESSAGE_CHARS: int = 32_000
    """The longest message a user may post, in characters."""

    MAX_DOCUMENTS: int = 100
    """How many documents a conversation may have."""

    MAX_DOCUMENT_CHARS: int = 500_000
    """The longest text of a document, in characters."""

    MAX_DOCUMENT_UPDATES: int = 100_000
    """How many changes a document may have in its log."""

    MAX_PARTICIPANTS: int = 500
    """How many participants a conversation may have."""

    IMAGE_HOSTS: tuple[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]+(:[0-9]+)?$")], ...] = ()
    """Hosts whose images answers may show, such as `images.example.org`, with a port unless it is the default one.
    Images on other hosts become links: loading an image tells its host who is reading, and hands over whatever data the
    model put into its URL."""

    BUDGETS: tuple[Budget, ...] = ()
    """Limits on tokens and cost, checked before a run starts and while it streams. Dictionaries with the fields of
    `Budget`."""

    PRICES: dict[str, Price] = msgspec.field(default_factory=dict)
    """Prices by `provider:model`: dictionaries with the fields of `Price`. Runs of other models have no cost."""

    CURRENCY: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "USD"
    """The currency of PRICES: an ISO 4217 code."""

    APPROVAL_TIMEOUT: float | None = 7 * 24 * 60 * 60
    """How long a tool call waits for approval before it is rejected; None means forever."""

    HISTORY_TOKENS: int = 32_000
    """How much of a conversation is sent to the model: its newest messages, up to this many estimated tokens."""

    SUMMARY_MODEL: str = ""
    """`provider:model` that summarizes the messages beyond HISTORY_TOKENS; "agent" means the agent's own model, empty
    means no summaries."""

    TITLE_MODEL: str = ""
    """`provider:model` that writes a conversation's title after the first answer; "agent" means the agent's own model.
    If empty, the title is the beginning of the first message."""

    UNDO_SECONDS: float = 600.0
    """How long deleted messages and conversations can be restored. After that they are erased."""

    COMPLETION_SECONDS: float | None = 30 * 24 * 60 * 60
    """How long the conversation of a request of another front end, which is in no list, is kept before it is erased;
    None means forever. A change holds for later requests."""

    RETENTION: tuple[RetentionRule, ...] = ()
    """How long conversations are kept: dictionaries with the fields of `RetentionRule`. Conversations that no rule fits
    are kept until somebody deletes them."""

    STORAGE: str = "default"
    """Alias in `settings.STORAGES` of the storage for attachments. It can be private: the chat serves the files."""

    IMAGE_BYTES: int = 5 * 1024 * 1024
    """The largest image that can be attached, in bytes."""
    IMAGE_PIXELS: int = 25_000_000
    """The largest image that can be attached, as width times height. A browser needs four bytes or more for each pixel.
    All frames of an animation together may have ten times as many."""

    TEXT_BYTES: int = 256 * 1024
    """The largest text file that can be attached, in bytes."""

    ATTACHMENTS_PER_MESSAGE: int = 10
    """How many files a message can carry."""
    STORAGE_BYTES_PER_USER: int | None = 1024 * 1024 * 1024
    """How many bytes of files one user may have stored; None means any number."""

    CONNECT_TIMEOUT: float = 10.0
    """How long the provider may take to accept a connection."""

    FIRST_TOKEN_TIMEOUT: float = 60.0
    """How long the provider may take to send the first token."""

    IDLE_TIMEOUT: float = 60.0
    """How long the provider may pause between two tokens."""

    TOTAL_TIMEOUT: float = 600.0
    """How long one answer may take in total."""


def read() -> Conf:
    """Read and validate `settings.NOUS_CHAT`. Raises ImproperlyConfigured, which names the setting and the problem."""
    given: dict[str, Any] = getattr(settings, "NOUS_CHAT", {})
    try:
        checked = msgspec.convert(given, Conf)
    except msgspec.ValidationError as error:
        raise ImproperlyConfigured(f"settings.NOUS_CHAT: {error}") from error
    if not checked.AGENTS:
        raise ImproperlyConfigured("settings.NOUS_CHAT: AGENTS needs at least one agent.")
    return checked


class _ReadOnFirstUse:
    """The settings as attributes of its own: some are read several times for each frame, and Django's SimpleLazyObject
    takes fifty times as long for each.
    """

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet."""
        if name not in Conf.__struct_fields__:
            raise AttributeError(f"There is no setting {name!r} in NOUS_CHAT.")
        values = read()
        vars(self).update({field: getattr(values, field) for field in Conf.__struct_fields__})
        return getattr(values, name)


conf: Conf = _ReadOnFirstUse()  # type: ignore[assignment]


def _reset(*, setting: str, **_: Any) -> None:
    """Tests override settings; read them again on the next use."""
    if setting == "NOUS_CHAT":
        vars(conf).clear()


setting_changed.connect(_reset)
