"""Tools: Python functions that a model may call. `@tool` makes one of a typed function, an Agent lists them, and
tool_runner.py calls them.

    @tool
    def weather(city: Annotated[str, "In English"], days: int = 1) -> Forecast:
        \"""The weather of the next days.\"""

The model gets the function's name, the first paragraph of its docstring, and the JSON Schema of its parameters.
"""

import functools
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints, overload

import msgspec

from .exceptions import ConfigurationError, mask
from .providers.provider import ToolSpec
from .schema import Schema, SchemaMismatch, convert, schema_of

logger = logging.getLogger("nous_chat.engine")

P = ParamSpec("P")
R = TypeVar("R")


class ToolError(Exception):
    """Raised by a tool. The message becomes the result of the call; the model and the readers see it, so it must not
    contain secrets."""

    def __init__(self, message: str) -> None:
        self.message = mask(message)
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool gets in addition to its arguments.

    The caller of `run_stream` passes `user`, `deps`, `object` and `thread_scope`, which the engine does not look at.
    Each call gets a copy with its own `call_id`. `tools` are those of the caller: an Agent has them in addition to its
    own, and a custom agent may offer them to its model.

    `trace_attributes` are attributes of the run's span (telemetry.py).

    `thread_scope` makes a context manager, which the engine enters in the thread of each synchronous tool, around the
    call. A site closes there what belongs to a thread, such as database connections.
    """

    user: Any = None
    deps: Any = None
    object: Any = None
    tools: Sequence["Tool[..., Any]"] = ()
    thread_scope: Callable[[], AbstractContextManager[Any]] = nullcontext
    trace_attributes: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    call_id: str = ""
    cancelled: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)

    def is_cancelled(self) -> bool:
        """True if nobody waits for the result any more: the run was stopped, or the tool's time is over. May be called
        from any thread. Long synchronous tools should check it regularly, because nothing else can end them."""
        return self.cancelled()


class Tool(Generic[P, R]):
    """A function with its description for a model. Calling it from Python calls the function.

    `timeout` is in seconds (None: as long as the run may take). `max_chars` limits the length of the result. If
    `requires_approval`, each call waits for a person's decision (`resume`). If `stream_arguments`, the stream has
    ToolCallDelta events while the model writes the arguments of a call that needs no approval. `not_called` is awaited
    in place of the function if the arguments are broken or too long, and returns what to add to the result: what was
    done with the part that came. Raises ConfigurationError for a function that a model cannot call.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        requires_approval: bool = False,
        timeout: float | None = 30.0,
        max_chars: int = 16_000,
        stream_arguments: bool = False,
        not_called: Callable[[ToolContext], Awaitable[str]] | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name or str(getattr(function, "__name__", ""))
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", self.name):
            raise ConfigurationError(
                f"{self.name!r} is not a name for a tool: use letters, digits, _ and -, at most 64."
            )
        signature = _Signature(function, self.name)
        self.description = signature.description if description is None else description
        self.schema = signature.schema
        self.takes_context = signature.takes_context
        self.requires_approval = requires_approval
        self.timeout = timeout
        self.max_chars = max_chars
        self.stream_arguments = stream_arguments and not requires_approval
        self.not_called = not_called
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  # for objects whose __call__ is async
        )
        self._arguments = signature.arguments

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, self.description, self.schema, self.stream_arguments)

    def validate(self, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """The arguments of a call, converted to the function's types. Raises ToolError with advice for the model."""
        if arguments is None:
            raise ToolError(f"The arguments of {self.name} are not a JSON object. Call it again with one.")
        try:
            converted = convert(dict(arguments), self._arguments)
        except SchemaMismatch as error:
            expected = msgspec.json.encode(self.schema["properties"]).decode()
            raise ToolError(
                f"The arguments of {self.name} do not fit. {error} Call it again. It takes: {expected[:2000]}"
            ) from None
        except Exception as error:  # raised by the code of a custom type
            logger.exception("The arguments of the tool %s cannot be read", self.name)
            raise ToolError(f"The arguments of {self.name} cannot be read ({type(error).__name__}).") from error
        values = ((name, getattr(converted, name)) for name in self._arguments.__struct_fields__)
        return {name: value for name, value in values if value is not msgspec.UNSET}


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    requires_approval: bool = False,
    timeout: float | None = 30.0,
    max_chars: int = 16_000,
    stream_arguments: bool = False,
    not_called: Callable[[ToolContext], Awaitable[str]] | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Make a Tool of a function: `@tool`, or with Tool's options `@tool(requires_approval=True, timeout=5.0)`."""
    if function is None:
        return lambda decorated: Tool(decorated, **options)
    return Tool(function, **options)


class _Signature:
    """The description and the JSON Schema of a function, from its signature and docstring."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        try:
            parameters = list(inspect.signature(function).parameters.values())
            hints = get_type_hints(_annotated(function), include_extras=True)
        except Exception as error:
            raise ConfigurationError(f"The types of the tool {name} cannot be read: {error}.") from error
        self.takes_context = bool(parameters) and hints.get(parameters[0].name) is ToolContext
        if self.takes_context:
            parameters.pop(0)
        self.description, documented = _parse_docstring(inspect.getdoc(function) or "", [p.name for p in parameters])
        fields: list[tuple[str, Any, Any]] = []
        for parameter in parameters:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise ConfigurationError(f"{parameter} of the tool {name} has no name that a model could use.")
            if parameter.name not in hints:
                raise ConfigurationError(f"The parameter {parameter.name} of the tool {name} needs a type.")
            kind = hints[parameter.name]
            if parameter.default is parameter.empty:
                fields.append((parameter.name, kind, msgspec.NODEFAULT))
            else:  # UNSET, so that the function uses its own default, which may be any object
                fields.append((parameter.name, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
        try:
            self.arguments = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
            self.schema = schema_of(self.arguments)
        except Exception as error:
            problem = str(error).strip().splitlines()[-1]
            raise ConfigurationError(f"JSON cannot hold the arguments of the tool {name}: {problem}.") from error
        for parameter in parameters:
            description = _annotated_description(hints[parameter.name]) or documented.get(parameter.name)
            _describe_parameter(self.schema, parameter, description)


def _annotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the annotations, of a partial, a bound method, or an object with `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _annotated_description(hint: Any) -> str:
    """The text of `Annotated[str, "the text"]`."""
    metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((item for item in metadata if isinstance(item, str)), "")


def _describe_parameter(schema: Schema, parameter: inspect.Parameter, description: str | None) -> None:
    """Add the description and the default of a parameter to the schema."""
    described = schema["properties"][parameter.name]
    if description and "description" not in described:
        described = described | {"description": description}
    if parameter.default is not parameter.empty and parameter.default is not None:
        with suppress(Exception):  # a default that JSON cannot hold is not shown
            described = described | {"default": msgspec.to_builtins(parameter.default)}
    schema["properties"][parameter.name] = described


_PARAMETER = re.compile(
    r"^\s*(?::param\s+(?:\S+\s+)?)?\*{0,2}(?P<name>\w+)(?:\s*\([^)]*\))?\s*:\s+(?P<description>\S.*)$"
)
_HEADING = re.compile(r"^\s*(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?)\s*:\s*$")


def _parse_docstring(text: str, parameters: list[str]) -> tuple[str, dict[str, str]]:
    """The first paragraph, and the descriptions of parameters, in lines such as `city: In English.` or `:param city: In
    English.` A line with a deeper indent continues the one above."""
    paragraph: list[str] = []
    descriptions: dict[str, str] = {}
    in_first_paragraph, current, current_indent = True, "", 0
    for line in text.splitlines():
        found = _PARAMETER.match(line)
        indent = len(line) - len(line.lstrip())
        if found and found["name"] in parameters:
            in_first_paragraph, current, current_indent = False, found["name"], indent
            descriptions[current] = found["description"].strip()
        elif current and line.strip() and indent > current_indent:
            descriptions[current] += f" {line.strip()}"
        else:
            current = ""
            in_first_paragraph = in_first_paragraph and bool(line.strip()) and not _HEADING.match(line)
            if in_first_paragraph:
                paragraph.append(line.strip())
    return " ".join(paragraph), descriptions
