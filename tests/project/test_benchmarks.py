"""What `make bench` reports is right, and documented. The measurements themselves run in `make bench` alone."""

from pathlib import Path

import pytest
from django.db import transaction

from chat.models import Conversation

from ..benchmarks.administrator import Transactions
from ..benchmarks.arrivals import Arrivals
from ..benchmarks.load import Shares
from ..benchmarks.options import SECTIONS, parse_options
from ..support.statements import Statements

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_documented(section: str) -> None:
    assert f"`{section}`" in PAGE.read_text("utf-8")


def test_users_suffice_for_all_askers() -> None:
    plan = parse_options(["answers", "--askers", "7", "--deltas", "1,200", "--history", "0,50", "--rounds", "2"])
    assert plan is not None
    new, used = plan.sizes.alone[0], plan.sizes.alone[50]
    assert new >= 2 * (2 * 2 * 7 + 7)  # both lengths: two passes in each of two rounds, and one that counts
    assert used >= 7 + 10  # the askers of a pass, and those who are counted one after another


def test_one_site_of_each_database_is_administrated() -> None:
    plan = parse_options(["admin", "--messages", "500"])
    assert plan is not None
    assert [kind.database for kind in plan.administrated] == ["SQLite", "PostgreSQL"]
    assert plan.showcase == (50, 500)
    assert not plan.needs_servers, "it has servers of its own"


@pytest.mark.django_db(transaction=True)
def test_each_transaction_is_timed() -> None:
    with Transactions() as transactions:
        Conversation.objects.count()
        for _ in range(2):
            with transaction.atomic():
                Conversation.objects.count()
                with transaction.atomic():
                    Conversation.objects.count()
    assert len(transactions.took) == 2
    with transaction.atomic():
        Conversation.objects.count()
    assert len(transactions.took) == 2


@pytest.mark.django_db(transaction=True)
def test_statements_are_counted_with_their_transactions() -> None:
    statements = Statements()
    statements.start()
    Conversation.objects.count()
    with transaction.atomic():
        Conversation.objects.count()
        Conversation.objects.count()
    assert statements.stop() == {"statements": 1 + 2 + 2, "transactions": 2, "checks": 0}
    Conversation.objects.count()
    statements.start()
    assert statements.stop() == {"statements": 0, "transactions": 0, "checks": 0}


@pytest.mark.parametrize(
    ("answered", "late", "sustained"), [(100, 900.0, True), (99, 900.0, False), (100, 1100.0, False)]
)
def test_a_rate_is_sustained_without_a_backlog(answered: int, late: int, sustained: bool) -> None:
    shares = Shares(server=0.5, upstream=0, clients=0, aux=0, others=0, late_ms=0)
    measured = Arrivals("site", 10, 100, answered, 500, 1500, 1500, late, 5, shares)
    assert measured.sustained is sustained
