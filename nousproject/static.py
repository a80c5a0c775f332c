"""Static files under names that hold their hash, imports between ES modules included: caches never serve old code. The
chat's own modules lose their comments on the way; each file is kept as gzip and Brotli, too.
"""

from typing import Any

from django.core.files.base import ContentFile
from rjsmin import jsmin
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    support_js_module_import_aggregation = True
    max_post_process_passes = 20  # one for each step of the longest chain of imports, whatever the order of the files

    def file_hash(self, name: str, content: Any = None) -> Any:
        """Eight characters tell the versions of a file apart; they are in every import of it, and do not compress."""
        whole = super().file_hash(name, content)
        return whole and whole[:8]

    def _save(self, name: str, content: Any) -> str:
        if name.startswith("nous_chat/") and name.endswith(".js") and "/vendor/" not in name:
            text = b"".join(content.chunks()).decode()
            content = ContentFile(jsmin(text).encode())
        return str(super()._save(name, content))
