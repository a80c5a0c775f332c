"""The administration of a large site."""

from collections.abc import Iterable

from ..admin import Administration, Page
from .tables import goal, table

MAX_PAGE, MAX_STATEMENTS = 300.0, 19
MIN_EXPORT = 20_000
MAX_GROWN = 20.0
MAX_LAG = 150.0
MAX_TRANSACTION = 1000.0


def pages(measured: Iterable[Administration]) -> str:
    rows = [
        (each.target, page.name, f"{page.p50:.0f}", f"{page.worst:.0f}", page.statements)
        for each in measured
        for page in each.pages
    ]
    return table("server, page, p50 ms, worst, statements", rows)


def transfers(measured: Iterable[Administration]) -> str:
    rows = [
        (
            each.target,
            f"{each.messages:,}",
            name,
            f"{transfer.seconds:.1f}",
            f"{each.messages / transfer.seconds:,.0f}",
            f"{transfer.peak_mib:.0f}",
            f"{transfer.grown_mib:.0f}",
        )
        for each in measured
        for name, transfer in (("export", each.exported), ("import", each.imported))
    ]
    return table("server, messages, what, s, messages/s, MiB, grown", rows)


def prunings(measured: Iterable[Administration]) -> str:
    rows = [
        (
            each.target,
            f"{each.pruned.messages:,}" + ("" if each.pruned.complete else f" of {each.messages:,}"),
            f"{each.pruned.seconds:.0f}",
            f"{each.pruned.messages / each.pruned.seconds:,.0f}",
            *(
                f"{ms:.0f}"
                for ms in (
                    each.pruned.transaction_p50,
                    each.pruned.transaction_p99,
                    each.pruned.transaction_worst,
                    each.pruned.lag_alone,
                    each.pruned.lag_beside,
                )
            ),
        )
        for each in measured
    ]
    header = "server, messages, s, messages/s, transaction p50 ms, p99, worst, lag of streams p99 ms alone, meanwhile"
    return table(header, rows)


def goals(measured: Iterable[Administration]) -> list[str]:
    return [line for each in measured for line in _goals(each)]


def _goals(each: Administration) -> list[str]:
    name = f"{each.target}, {each.messages:,} messages"
    rate = each.messages / each.exported.seconds
    slowest = max(each.pages, key=lambda page: page.p50)
    most = max(each.pages, key=lambda page: page.statements)
    return [
        goal(f"{name}: every page within {MAX_PAGE:.0f} ms", slowest.p50 <= MAX_PAGE, _describe(slowest)),
        goal(
            f"{name}: every page under {MAX_STATEMENTS + 1} statements",
            most.statements <= MAX_STATEMENTS,
            f"{most.name}: {most.statements}",
        ),
        goal(f"{name}: export {MIN_EXPORT:,} messages a second", rate >= MIN_EXPORT, f"{rate:,.0f}"),
        goal(
            f"{name}: export and import do not grow by more than {MAX_GROWN:.0f} MiB",
            max(each.exported.grown_mib, each.imported.grown_mib) <= MAX_GROWN,
            f"{each.exported.grown_mib:.0f} and {each.imported.grown_mib:.0f} MiB",
        ),
        goal(f"{name}: an import gives the same lines", each.equal, "equal" if each.equal else "NOT EQUAL"),
        goal(
            f"{name}: lag of streams next to pruning under {MAX_LAG:.0f} ms (p99)",
            each.pruned.lag_beside < MAX_LAG,
            f"{each.pruned.lag_beside:.0f} ms, {each.pruned.lag_alone:.0f} ms alone",
        ),
        goal(
            f"{name}: no transaction of pruning over {MAX_TRANSACTION:.0f} ms",
            each.pruned.transaction_worst <= MAX_TRANSACTION,
            f"{each.pruned.transaction_worst:.0f} ms",
        ),
    ]


def _describe(page: Page) -> str:
    return f"{page.name}: {page.p50:.0f} ms"
