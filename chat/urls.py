"""The pages and the JSON endpoints, for `path("chat/", include("chat.urls"))` under a prefix of the site's choice."""

from django.urls import path

from . import api, attachments, views

app_name = "nous_chat"

urlpatterns = [
    path("", views.chat, name="home"),
    path("<uuid:conversation_id>/", views.chat, name="conversation"),
    path("attachments/<uuid:attachment_id>/", attachments.attachment, name="attachment"),
    path("api/search/", api.search, name="api-search"),
    path("api/conversations/", api.conversations, name="api-conversations"),
    path("api/conversations/<uuid:conversation_id>/messages/", api.messages, name="api-messages"),
    path("api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/edits/", api.edits, name="api-edits"),
    path("api/conversations/<uuid:conversation_id>/attachments/", attachments.attachments, name="api-attachments"),
]
