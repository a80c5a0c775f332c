"""What the rules of RETENTION, holds, and deletions say of a conversation: must it be kept, is it due to be erased?"""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from ..conf import RetentionRule, conf
from ..models import Conversation, Hold, Participant, Run, held


def due_conversations(now: datetime) -> QuerySet[Conversation]:
    """Conversations to erase: deleted more than UNDO_SECONDS ago, expired, or older than the rule for them allows."""
    return _over(now).exclude(kept(now))


def held_conversations(now: datetime) -> QuerySet[Conversation]:
    """Those that would be erased if there were no holds."""
    return _over(now).exclude(_too_young(now)).filter(held())


def _over(now: datetime) -> QuerySet[Conversation]:
    over = Q(deleted_at__lt=now - timedelta(seconds=conf.UNDO_SECONDS)) | Q(expires_at__lt=now)
    for rule, fits in _rules():
        if rule.max_days is not None:
            over |= fits & Q(updated_at__lt=now - timedelta(days=rule.max_days))
    active = Run.objects.filter(conversation=OuterRef("pk"), status__in=Run.ACTIVE)
    return Conversation.objects.filter(over).exclude(Exists(active)).order_by()


def kept(now: datetime) -> Q:
    """Conversations of which nothing may be erased now."""
    kept = _too_young(now)
    return kept | held() if Hold.objects.filter(released_at=None).exists() else kept


def _too_young(now: datetime) -> Q:
    young = Q(pk__in=())
    for rule, fits in _rules():
        if rule.min_days is not None:
            young |= fits & Q(updated_at__gte=now - timedelta(days=rule.min_days))
    return young


def kept_conversations(now: datetime) -> QuerySet[Conversation]:
    return Conversation.objects.filter(kept(now)).order_by()


def keeps_anything() -> bool:
    """Whether there are holds or rules with a minimum, so that `kept` has to be asked."""
    return any(rule.min_days for rule in conf.RETENTION) or Hold.objects.filter(released_at=None).exists()


def _rules() -> list[tuple[RetentionRule, Q]]:
    """The rules, each with the conversations that it is for: those that no rule before it fits."""
    found = []
    earlier = Q(pk__in=())
    for rule in conf.RETENTION:
        fits = _fitting(rule)
        found.append((rule, fits & ~earlier))
        earlier |= fits
    return found


def _fitting(rule: RetentionRule) -> Q:
    fits = ~Q(pk__in=())
    if rule.agent is not None:
        fits &= Q(agent=rule.agent)
    guest = Q(Exists(Participant.objects.filter(conversation=OuterRef("pk"), user__nous_guest__isnull=False)))
    room = Q(content_type__isnull=False)
    match rule.kind:
        case "room":
            fits &= room
        case "guest":
            fits &= ~room & guest
        case "unlisted":
            fits &= ~room & ~guest & Q(listed=False)
        case "listed":
            fits &= ~room & ~guest & Q(listed=True)
    return fits
