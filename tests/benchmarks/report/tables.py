"""Tables in Markdown that read well in a terminal, and verdicts."""

from collections.abc import Iterable, Sequence

from ..load import Texts


def goal(name: str, met: bool, result: str) -> str:
    return f"- {'met' if met else 'NOT MET'}: {name} ({result})"


def doubts(kinds: Iterable[tuple[str, list[str]]]) -> list[str]:
    """Measurements that other work disturbed: one line for each kind, with the reasons."""
    found: dict[str, list[str]] = {}
    for kind, reasons in kinds:
        if reasons:
            found.setdefault(kind, []).extend(reasons)
    return [f"- {kind}: {'; '.join(reasons)}" for kind, reasons in found.items()]


def delivered(texts: Texts) -> str:
    cell = f"{texts.delivered}/{texts.expected}"
    if not texts.equal:
        cell += " TEXT DIFFERS"
    if texts.gaps:
        cell += f" {texts.gaps} gaps"
    return " ".join([cell, *texts.failures])


def table(header: str, rows: Sequence[Sequence[object]]) -> str:
    lines = [[name.strip() for name in header.split(",")], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    padded = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([padded[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *padded[1:]])
