"""Storage of static files: names with a content hash, also in the imports of ES modules, so that caches never serve old
code. The chat's own modules are minified. Each file is stored compressed as well, with gzip and Brotli.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rjsmin import jsmin
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    support_js_module_import_aggregation = True
    max_post_process_passes = 20  # at least the length of the longest chain of imports

    def file_hash(self, name: str, content: Any = None) -> Any:
        """Six characters are enough. Hashes stand in every import and do not compress, so they cost transfer size."""
        digest = super().file_hash(name, content)
        return digest and digest[:6]

    def _save(self, name: str, content: Any) -> str:
        if name.startswith("nous_chat/") and name.endswith(".js") and "/vendor/" not in name:
            text = b"".join(content.chunks()).decode()
            content = ContentFile(jsmin(text).encode())
        return str(super()._save(name, content))


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise on the event loop. Its own middleware is synchronous: Django would run it, and everything above it in
    MIDDLEWARE, in a thread for each request, and `chat.middleware.TakeTurns` could not hold requests back.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self._on_loop = iscoroutinefunction(get_response)
        if self._on_loop:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self._serve_on_loop(request) if self._on_loop else super().__call__(request)

    async def _serve_on_loop(self, request: HttpRequest) -> HttpResponseBase:
        file = self.files.get(request.path_info)
        response: HttpResponseBase = await (
            self.get_response(request) if file is None else sync_to_async(self.serve)(file, request)
        )
        return response
