"""URLs of the pages and the JSON endpoints. A site includes them: `path("chat/", include("chat.urls"))`."""

from django.urls import path

from .api import (
    ag_ui,
    ai_sdk,
    attachments,
    conversations,
    invitations,
    messages,
    openai,
    participants,
    runs,
    schema,
    search,
    stream,
    token,
)
from .views import diagram, join, no_script, page, probes, tokens

app_name = "nous_chat"

urlpatterns = [
    path("", page.chat, name="home"),
    path("<uuid:conversation_id>/", page.chat, name="conversation"),
    path("<uuid:conversation_id>/say/", no_script.post_message, name="say"),
    path("plain/", no_script.conversations, name="plain"),
    path("begin/", no_script.create_conversation, name="begin"),
    path("guest/", no_script.begin_as_guest, name="guest"),
    path("tokens/", tokens.tokens, name="tokens"),
    path("tokens/<int:token_id>/revoke/", tokens.revoke, name="revoke-token"),
    path("join/<str:token>/", join.join, name="join"),
    path("attachments/<uuid:attachment_id>/", attachments.attachment, name="attachment"),
    path("diagram/", diagram.diagram, name="diagram"),
    path("healthz", probes.probe, name="healthz"),
    path("readyz", probes.probe, name="readyz"),
    path("api/token/", token.token, name="api-token"),
    path("api/openapi.json", schema.openapi, name="api-openapi"),
    path("api/asyncapi.json", schema.asyncapi, name="api-asyncapi"),
    path("api/stream/", stream.stream, name="api-inbox-stream"),
    path("v1/models", openai.models, name="api-models"),
    path("v1/chat/completions", openai.completions, name="api-completions"),
    path("v1/responses", openai.responses, name="api-responses"),
    path("ai-sdk/<str:agent>", ai_sdk.chat, name="api-ai-sdk"),
    path("ai-sdk/<str:agent>/<str:chat_id>/stream", ai_sdk.stream, name="api-ai-sdk-stream"),
    path("ai-sdk/<str:agent>/<str:chat_id>/stop", ai_sdk.stop, name="api-ai-sdk-stop"),
    path("ag-ui/<str:agent>", ag_ui.run, name="api-ag-ui"),
    path("api/search/", search.search, name="api-search"),
    path("api/conversations/<uuid:conversation_id>/participants/", participants.participants, name="api-participants"),
    path(
        "api/conversations/<uuid:conversation_id>/participants/<int:participant_id>/",
        participants.participant,
        name="api-participant",
    ),
    path("api/conversations/<uuid:conversation_id>/invitations/", invitations.invitations, name="api-invitations"),
    path(
        "api/conversations/<uuid:conversation_id>/invitations/<uuid:invitation_id>/",
        invitations.invitation,
        name="api-invitation",
    ),
    path("api/conversations/", conversations.conversations, name="api-conversations"),
    path("api/conversations/<uuid:conversation_id>/", conversations.conversation, name="api-conversation"),
    path("api/conversations/<uuid:conversation_id>/restore/", conversations.restore, name="api-restore"),
    path("api/conversations/<uuid:conversation_id>/fork/", conversations.fork, name="api-fork"),
    path("api/conversations/<uuid:conversation_id>/messages/", messages.messages, name="api-messages"),
    path(
        "api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/",
        messages.message,
        name="api-message",
    ),
    path(
        "api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/restore/",
        messages.restore,
        name="api-message-restore",
    ),
    path(
        "api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/choose/",
        messages.choose,
        name="api-message-choose",
    ),
    path(
        "api/conversations/<uuid:conversation_id>/messages/<uuid:message_id>/edits/",
        messages.edits,
        name="api-edits",
    ),
    path("api/conversations/<uuid:conversation_id>/stream/", stream.stream, name="api-stream"),
    path("api/conversations/<uuid:conversation_id>/read/", messages.read, name="api-read"),
    path("api/conversations/<uuid:conversation_id>/runs/", runs.runs, name="api-runs"),
    path("api/conversations/<uuid:conversation_id>/runs/<uuid:run_id>/stop/", runs.stop, name="api-run-stop"),
    path("api/conversations/<uuid:conversation_id>/calls/<uuid:call_id>/decide/", runs.decide, name="api-decide"),
    path("api/conversations/<uuid:conversation_id>/attachments/", attachments.attachments, name="api-attachments"),
]
