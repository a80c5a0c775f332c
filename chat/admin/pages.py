"""Pages of the admin that are not lists and not forms of a row."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers


def show(model_admin: "ModelAdmin[Any]", request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
    """A page of this admin, from a template below `admin/nous_chat/`. No browser or proxy keeps it."""
    request.current_app = model_admin.admin_site.name  # for `url` in templates
    everywhere = model_admin.admin_site.each_context(request) | {"opts": model_admin.opts}
    response = TemplateResponse(request, f"admin/nous_chat/{template}", everywhere | context)
    add_never_cache_headers(response)
    return response
