"""The part of a text that an agent is writing. It is the agent's own: all others change the text around it."""

from dataclasses import dataclass

from .changesets import ChangeSet, units


@dataclass(frozen=True, slots=True)
class OpenRange:
    """Positions in UTF-16 units: the agent has written `start` to `at`, and replaces `at` to `end` when it is done."""

    start: int
    at: int
    end: int

    @property
    def written(self) -> int:
        """How many units the agent has written."""
        return self.at - self.start

    def grow(self, count: int) -> "OpenRange":
        """The range after the agent has written `count` more units."""
        return OpenRange(self.start, self.at + count, self.end + count)

    def map(self, changes: ChangeSet) -> "OpenRange | None":
        """The range after a change by somebody else; None if that would change something strictly inside.

        What is inserted at one of the ends stays outside. So the range as a whole moves, and nothing else.
        """
        position = moved = 0
        for count, text in changes.sections:
            if text is not None:
                if position < self.end and position + count > self.start:
                    return None
                if position + count <= self.start:
                    moved += units(text) - count
            position += count
        return OpenRange(self.start + moved, self.at + moved, self.end + moved)
