"""Storage of static files: names with a content hash, also in the imports of ES modules, so that caches never serve old
code. The chat's own modules are minified. Each file is stored compressed as well, with gzip and Brotli.
"""

from typing import Any

from django.core.files.base import ContentFile
from rjsmin import jsmin
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
