"""The pages and the JSON endpoints, for `path("chat/", include("chat.urls"))` under a prefix of the site's choice."""

from django.urls import path

from . import api, attachments, people, plain, views

app_name = "nous_chat"

urlpatterns = [
    path("", views.chat, name="home"),
    path("<uuid:conversation_id>/", views.chat, name="conversation"),
    path("<uuid:conversation_id>/say/", plain.say, name="say"),
    path("plain/", plain.conversations, name="plain"),
    path("begin/", plain.begin, name="begin"),
    path("join/<str:token>/", views.join, name="join"),
    path("attachments/<uuid:attachment_id>/", attachments.attachment, name="attachment"),
    path("diagram/", views.diagram, name="diagram"),
    path("api/search/", api.search, name="api-search"),
    path("api/conversations/<uuid:conversation_id>/participants/", people.participants, name="api-participants"),
    path(
        "api/conversations/<uuid:conversation_id>/participants/<int:participant_id>/",
        people.participant,
        name="api-participant",
    ),
    path("api/conversations/<uuid:conversation_id>/invitations/", people.invitations, name="api-invitations"),
    path(
        "api/conversations/<uuid:conversation_id>/invitations/<uuid:invitation_id>/",
        people.invitation,
        name="api-invitation",
    ),
    path("api/conversations/", api.conversations, name="api-conversations"),
    path("api/conversations/<uuid:conversation_id>/", api.conversation, name="api-conversation"),
    path("api/conversations/<uuid:conversation_id>/restore/", api.restore, name="api-restore"),
    path("api/conversations/<uuid:conversation_id>/fork/", api.fork, name="api-fork"),
    path("api/conversations/<uuid:conversation_id>/messages/", api.messages, name="api-messages"),
    path("api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/edits/", api.edits, name="api-edits"),
    path("api/conversations/<uuid:conversation_id>/attachments/", attachments.attachments, name="api-attachments"),
]
