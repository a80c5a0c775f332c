"""The arguments of a tool call while the model writes them: a tool awaits what it needs next."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..engine.partial_json import BrokenJSONError, PartialJSONReader, Path


class BrokenOff(Exception):
    """What was awaited does not come: the arguments have ended before it."""


class Piece(NamedTuple):
    """The next piece of a text; `ends` if it is the last one."""

    text: str
    ends: bool


class StreamedArguments:
    """The texts in the arguments, by their paths. `feed` and `end` are called by the code that receives them; one
    task awaits the rest.
    """

    def __init__(self) -> None:
        self._reader = PartialJSONReader()
        self._texts: dict[Path, list[str]] = {}
        self._whole: set[Path] = set()
        self._begun: set[Path] = set()
        self._over = False
        self._awaited: Callable[[], bool] | None = None
        """What the task waits for. It is woken when that holds, and not by each piece of a text."""
        self._news = asyncio.Event()

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "StreamedArguments":
        """Arguments that came as a whole."""
        made = cls()
        made._add((), arguments)
        made.end()
        return made

    def _add(self, path: Path, value: Any) -> None:
        if isinstance(value, str):
            self._add_part(path, value, True)
        elif isinstance(value, Mapping | list):
            for name, inner in value.items() if isinstance(value, Mapping) else enumerate(value):
                self._add((*path, name), inner)

    def feed(self, text: str) -> None:
        """More of the JSON. What follows a fault in it is left out."""
        if self._over:
            return
        try:
            for part in self._reader.feed(text):
                self._add_part(*part)
        except BrokenJSONError:
            self._over = True
        self._over = self._over or self._reader.complete
        if self._over or (self._awaited is not None and self._awaited()):
            self._news.set()

    def _add_part(self, path: Path, text: str, ends: bool) -> None:
        texts = self._texts.setdefault(path, [])
        texts.append(text)
        if len(texts) == 1:
            self._begun |= {path, path[:-1]}
        if ends:
            self._whole.add(path)

    def end(self) -> None:
        """Nothing more will come."""
        self._over = True
        self._news.set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._over

    def is_whole(self, *path: str | int) -> bool:
        return path in self._whole

    def get(self, *path: str | int) -> str:
        """A text that is whole already; empty if it is not."""
        return "".join(self._texts[path]) if path in self._whole else ""

    async def whole(self, *path: str | int) -> str:
        """A text, when it is whole. Raises BrokenOff."""
        await self._until(lambda: path in self._whole)
        if path not in self._whole:
            raise BrokenOff
        return self.get(*path)

    async def begins(self, *path: str | int) -> bool:
        """Whether there is a text here or, one level deeper, inside. Returns as soon as that is known."""
        await self._until(lambda: path in self._begun)
        return path in self._begun

    async def pieces(self, *path: str | int, pause: float) -> AsyncGenerator[Piece, None]:
        """A text as it grows: what there is at once, then what has come about every `pause` seconds or, if the caller
        takes longer, meanwhile. They are multiples on the loop's clock, the same for all texts. Raises BrokenOff after
        all that came.
        """
        loop = asyncio.get_running_loop()
        taken, not_before = 0, loop.time()
        while True:
            await self._until(partial(self._has_more, path, taken))
            await self._until(lambda: path in self._whole, not_before)
            not_before = (round(loop.time() / pause) + 1) * pause
            texts = self._texts.get(path, [])
            text, taken = "".join(texts[taken:]), len(texts)
            ends, is_over = path in self._whole, self._over  # before the caller takes its time
            if text or ends:
                yield Piece(text, ends)
            if ends:
                return
            if is_over:
                raise BrokenOff

    def _has_more(self, path: Path, taken: int) -> bool:
        return len(self._texts.get(path, ())) > taken

    async def _until(self, condition: Callable[[], bool], latest: float | None = None) -> None:
        """Wait until the condition holds, nothing more will come, or it is later on the loop's clock."""
        if self._over or condition():
            return
        self._news.clear()
        self._awaited = condition
        try:
            async with asyncio.timeout_at(latest):
                await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self._awaited = None
