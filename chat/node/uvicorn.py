"""What uvicorn lacks: at a shutdown, it waits for all HTTP responses before the application hears of it. A stream would
hold it up for ever.
"""

import sys
from typing import Any

from . import node


def install() -> None:
    """Make uvicorn's server tell the sockets and streams of this process first. Has no effect under other servers."""
    module = sys.modules.get("uvicorn.server")
    if module is None or getattr(module.Server.shutdown, "announces", False):
        return
    shutdown = module.Server.shutdown

    async def announced(self: Any, *args: Any, **options: Any) -> None:
        await node.current().announce_end()
        await shutdown(self, *args, **options)

    announced.announces = True  # type: ignore[attr-defined]
    module.Server.shutdown = announced
