"""Django's admin: conversations with transcripts, runs with what was recorded of them, circuit breakers, documents,
money, API tokens, holds, erasures, retention. `store` writes the rows.
"""

from django.contrib import admin

from ..models import (
    ApiToken,
    Breaker,
    Budget,
    Conversation,
    Document,
    Erasure,
    Hold,
    Inspection,
    Price,
    Pruning,
    Run,
    Spending,
    StoredAgent,
)
from .agents import AgentAdmin
from .breakers import BreakerAdmin
from .budgets import BudgetAdmin
from .conversations import ConversationAdmin
from .documents import DocumentAdmin
from .erasures import ErasureAdmin
from .holds import HoldAdmin
from .inspections import InspectionAdmin
from .prices import PriceAdmin
from .retention import PruningAdmin
from .rooms import RoomInline
from .runs import RunAdmin
from .spending import SpendingAdmin
from .tokens import ApiTokenAdmin

__all__ = ["RoomInline", "register"]


def register(site: admin.AdminSite) -> None:
    """Add the chat to an admin site. The default one has it already."""
    site.register(Conversation, ConversationAdmin)
    site.register(Document, DocumentAdmin)
    site.register(Budget, BudgetAdmin)
    site.register(Price, PriceAdmin)
    site.register(Breaker, BreakerAdmin)
    site.register(Run, RunAdmin)
    site.register(Inspection, InspectionAdmin)
    site.register(Spending, SpendingAdmin)
    site.register(ApiToken, ApiTokenAdmin)
    site.register(Hold, HoldAdmin)
    site.register(Erasure, ErasureAdmin)
    site.register(Pruning, PruningAdmin)
    site.register(StoredAgent, AgentAdmin)


register(admin.site)
