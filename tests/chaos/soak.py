"""Frames at full speed before a reader that has stopped reading: the server's memory has to stay flat."""

from pathlib import Path


async def soak(folder: Path, seconds: float) -> bool:
    raise NotImplementedError
