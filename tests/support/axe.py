"""What axe-core finds in a page. Called by the browser tests; the page needs `bypass_csp`, because axe-core writes
styles into it.
"""

from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


def find_faults(
    page: Page, parts: Sequence[str] = (), rules: Sequence[str] = RULES, without: Sequence[str] = ()
) -> list[str]:
    """One line for each element with a fault. `parts` are selectors of what is looked at, `without` of what is not;
    without any `parts`, all of the page is.
    """
    context = {"include": list(parts), "exclude": list(without)} if parts else None
    found = Axe().run(page, context=context, options={"runOnly": list(rules)}).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in found for node in rule["nodes"]]
