"""Python functions that a model may call: `@tool` makes one of a typed function. An Agent lists them, calls.py calls
them; this file knows what a tool is, and not when it runs.

    @tool
    def weather(city: Annotated[str, "In English"], days: int = 1) -> Forecast:
        \"""The weather of the next days.\"""

The model is told the function's name, the first paragraph of its docstring, and the JSON Schema of its parameters.
"""

import functools
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints, overload

import msgspec

from .exceptions import ConfigurationError, mask
from .providers.provider import ToolSpec
from .schema import Misfit, Schema, fitted, schema_of

logger = logging.getLogger("nous_chat.engine")

P = ParamSpec("P")
R = TypeVar("R")


class ToolError(Exception):
    """Raised by a tool: its sentence goes to the model as the result of the call. It is for the model, and readers see
    it too: no secrets in it."""

    def __init__(self, message: str) -> None:
        self.message = mask(message)
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool knows beside its arguments. The caller of `run_stream` gives `user`, `deps` and `thread_scope`, which
    the engine passes on unread; each call gets it with its own `call_id`.

    `thread_scope` makes a context manager that is entered in the thread of each synchronous tool, around its call:
    there a site closes what belongs to a thread, such as database connections.
    """

    user: Any = None
    deps: Any = None
    thread_scope: Callable[[], AbstractContextManager[Any]] = nullcontext
    call_id: str = ""
    cancelled: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the result any more: the run was stopped, or the tool's time is over. From any
        thread; a synchronous tool that takes long asks now and then, for nothing else can end it."""
        return self.cancelled()


class Tool(Generic[P, R]):
    """A function with what a model is told of it; called from Python it is that function.

    `timeout` is in seconds (None: as long as the run may take), `max_chars` bounds the result that the model is sent.
    A tool that `requires_approval` waits for a person's decision (`resume`). Raises ConfigurationError for a function
    that no model can call.
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
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name or str(getattr(function, "__name__", ""))
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}", self.name):
            raise ConfigurationError(f"{self.name!r} is no name for a tool: letters, digits, _ and -, at most 64.")
        signature = _Signature(function, self.name)
        self.description = signature.description if description is None else description
        self.schema = signature.schema
        self.takes_context = signature.takes_context
        self.requires_approval = requires_approval
        self.timeout = timeout
        self.max_chars = max_chars
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  # not whether it is callable, but how
        )
        self._arguments = signature.arguments

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, self.description, self.schema)

    def validated(self, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """The arguments of a call as the function wants them. Raises ToolError, in words that a model can act on."""
        if arguments is None:
            raise ToolError(f"The arguments of {self.name} are not a JSON object. Call it again with one.")
        try:
            given = fitted(dict(arguments), self._arguments)
        except Misfit as error:
            expected = msgspec.json.encode(self.schema["properties"]).decode()
            raise ToolError(
                f"The arguments of {self.name} do not fit. {error} Call it again. It takes: {expected[:2000]}"
            ) from None
        except Exception as error:  # of the code of a type: msgspec passes on what it does not know
            logger.exception("The arguments of the tool %s cannot be read", self.name)
            raise ToolError(f"The arguments of {self.name} cannot be read ({type(error).__name__}).") from error
        values = ((name, getattr(given, name)) for name in self._arguments.__struct_fields__)
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
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """`@tool`, or `@tool(requires_approval=True, timeout=5.0)`: a Tool of a function; the options are Tool's."""
    if function is None:
        return lambda decorated: Tool(decorated, **options)
    return Tool(function, **options)


class _Signature:
    """What a function's signature and docstring say."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        parameters = list(inspect.signature(function).parameters.values())
        try:
            hints = get_type_hints(_annotated(function), include_extras=True)
        except Exception as error:
            raise ConfigurationError(f"The types of the tool {name} cannot be read: {error}.") from error
        self.takes_context = bool(parameters) and hints.get(parameters[0].name) is ToolContext
        if self.takes_context:
            parameters.pop(0)
        self.description, documented = _documentation(inspect.getdoc(function) or "", [p.name for p in parameters])
        fields: list[tuple[str, Any, Any]] = []
        for parameter in parameters:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise ConfigurationError(f"{parameter} of the tool {name} has no name that a model could use.")
            if parameter.name not in hints:
                raise ConfigurationError(f"The parameter {parameter.name} of the tool {name} needs a type.")
            kind = hints[parameter.name]
            if parameter.default is parameter.empty:
                fields.append((parameter.name, kind, msgspec.NODEFAULT))
            else:  # left out is left out: the default is the function's own, and may be anything
                fields.append((parameter.name, Union[kind, msgspec.UnsetType], msgspec.UNSET))  # noqa: UP007
        try:
            self.arguments = msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)
            self.schema = schema_of(self.arguments)
        except Exception as error:
            what = str(error).strip().splitlines()[-1]
            raise ConfigurationError(f"The tool {name} takes what JSON cannot hold: {what}.") from error
        for parameter in parameters:
            about = _described(hints[parameter.name]) or documented.get(parameter.name)
            _tell(self.schema, parameter, about)


def _annotated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that carries the annotations: of a partial, a bound method, an object with `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _described(hint: Any) -> str:
    """The text of `Annotated[str, "the text"]`."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note for note in notes if isinstance(note, str)), "")


def _tell(schema: Schema, parameter: inspect.Parameter, about: str | None) -> None:
    """Add to the schema of a parameter what msgspec does not know of it."""
    told = schema["properties"][parameter.name]
    if about and "description" not in told:
        told = told | {"description": about}
    if parameter.default is not parameter.empty and parameter.default is not None:
        with suppress(Exception):  # it may be anything; then the model need not know
            told = told | {"default": msgspec.to_builtins(parameter.default)}
    schema["properties"][parameter.name] = told


_PARAMETER = re.compile(r"^\s*(?::param\s+(?:\S+\s+)?)?\*{0,2}(?P<name>\w+)(?:\s*\([^)]*\))?\s*:\s+(?P<about>\S.*)$")
_HEADING = re.compile(r"^\s*(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?)\s*:\s*$")


def _documentation(text: str, parameters: list[str]) -> tuple[str, dict[str, str]]:
    """The first paragraph, and what lines like `city: In English.` or `:param city: In English.` say of parameters. A
    line that is indented deeper goes on with the one above."""
    description: list[str] = []
    about: dict[str, str] = {}
    first, last, depth = True, "", 0
    for line in text.splitlines():
        found = _PARAMETER.match(line)
        indent = len(line) - len(line.lstrip())
        if found and found["name"] in parameters:
            first, last, depth = False, found["name"], indent
            about[last] = found["about"].strip()
        elif last and line.strip() and indent > depth:
            about[last] += f" {line.strip()}"
        else:
            last = ""
            first = first and bool(line.strip()) and not _HEADING.match(line)
            if first:
                description.append(line.strip())
    return " ".join(description), about
