"""The layers of `chat` in docs/architecture.md: `python -m tests.project.layers` prints them, test_docs.py compares."""

import re
from pathlib import Path

from .test_architecture import LAYERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


def table() -> str:
    """The layers as a Markdown table."""
    rows = ["| layer | modules and packages | purpose |", "|---|---|---|"]
    for name, modules, purpose in LAYERS:
        rows.append(f"| {name} | {', '.join(f'`{module}`' for module in modules)} | {purpose} |")
    return "\n".join(rows)


def diagram() -> str:
    """The layers as a Mermaid flowchart: an arrow leads to the layer below."""
    nodes = [f'    L{depth}["<b>{name}</b><br/>{", ".join(parts)}"]' for depth, (name, parts, _) in enumerate(LAYERS)]
    arrows = " --> ".join(f"L{depth}" for depth in range(len(LAYERS)))
    return "\n".join(["```mermaid", "flowchart TD", *nodes, f"    {arrows}", "```"])


def with_layers(page: str) -> str:
    """The page's text with the current table and diagram between its markers."""
    for marker, content in (("table", table()), ("diagram", diagram())):
        begin, end = f"<!-- layers: {marker} -->", f"<!-- end of {marker} -->"
        pattern = rf"{re.escape(begin)}\n.*?{re.escape(end)}"
        text = f"{begin}\n{content}\n{end}".replace("\\", r"\\")  # in a replacement, a backslash is an escape
        page, found = re.subn(pattern, text, page, flags=re.DOTALL)
        assert found == 1, f"docs/architecture.md needs one {begin}"
    return page


if __name__ == "__main__":
    PAGE.write_text(with_layers(PAGE.read_text("utf-8")), "utf-8")
