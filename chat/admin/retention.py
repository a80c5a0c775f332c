"""Admin of retention: the rules of the settings, and how much was erased on each day."""

from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import agents
from ..conf import conf
from ..models import Hold
from . import access
from .holds import KeptRecord

KINDS = {
    "listed": _("in lists of people"),
    "room": _("of an object of the site"),
    "guest": _("of a guest"),
    "unlisted": _("in no list"),
}


class PruningAdmin(KeptRecord):
    change_list_template = "admin/nous_chat/pruning/change_list.html"
    list_display = fields = (
        *("day", "conversations", "messages", "contents", "documents", "attachments", "guests", "rows", "last_at"),
    )
    date_hierarchy = "day"

    class Media:
        css: ClassVar = {"all": ["nous_chat/admin/admin.css"]}

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        response = super().changelist_view(request, *args, **kwargs)
        if "cl" in getattr(response, "context_data", {}):
            response.context_data |= {
                "title": capfirst(self.opts.verbose_name_plural),
                "rules": [
                    {
                        "kind": KINDS[rule.kind] if rule.kind else "",
                        "agent": agents.find(rule.agent).name if rule.agent else "",
                        "min_days": _days(rule.min_days),
                        "max_days": _days(rule.max_days),
                    }
                    for rule in conf.RETENTION
                ],
                "holds": Hold.objects.filter(released_at=None).count(),
                "may_see_holds": access.may_manage_retention(request) or request.user.has_perm("nous_chat.view_hold"),
            }
        return response


def _days(number: float | None) -> str:
    if number is None:
        return ""
    shown = int(number) if number == int(number) else number
    return ngettext("%(days)s day", "%(days)s days", shown) % {"days": number_format(shown)}
