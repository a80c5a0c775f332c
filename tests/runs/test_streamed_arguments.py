"""The texts in streamed arguments: when their pieces are passed on."""

import asyncio
import selectors

from chat.runs.streamed_arguments import StreamedArguments


class Selector(selectors.DefaultSelector):
    """Waits for nothing: the time passes at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.waits = Selector()
        super().__init__(self.waits)

    def time(self) -> float:
        return self.waits.now


async def read(begin: float) -> list[float]:
    """When the pieces of a text come that begins then and grows all the time."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(begin)
    arguments = StreamedArguments()
    arguments.feed('{"text": "')

    async def write() -> None:
        for _ in range(100):
            arguments.feed("a")
            await asyncio.sleep(0.005)
        arguments.feed('"}')

    writing = asyncio.create_task(write())
    times = [loop.time() async for _ in arguments.pieces("text", pause=0.1)]
    await writing
    return times


def test_texts_that_begin_at_different_times_come_at_once_and_then_at_the_same_moments() -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:

        async def scenario() -> list[list[float]]:
            return list(await asyncio.gather(read(0.013), read(0.077)))

        early, late = ([round(time, 6) for time in times] for times in runner.run(scenario()))
    assert (early[0], late[0]) == (0.013, 0.077)
    assert early[1:6] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert late[1:5] == [0.2, 0.3, 0.4, 0.5]
