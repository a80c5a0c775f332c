"""daphne on uvloop's event loop: `python -m nousproject.server [daphne's options]`. Plain `daphne` works as well; this
costs about a third less CPU per streamed delta (docs/benchmarks.md).
"""

import asyncio
import os
import sys
import warnings

APPLICATION = "nousproject.asgi:application"


def serve(arguments: list[str]) -> None:
    """Serve until a signal ends the process. `arguments` are daphne's own, without the application."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nousproject.settings")
    if sys.platform != "win32":
        import uvloop

        with warnings.catch_warnings():  # daphne makes its loop by the policy, however old-fashioned that is
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from daphne.cli import CommandLineInterface  # makes its event loop when it is imported

    CommandLineInterface().run([*arguments, APPLICATION])


if __name__ == "__main__":
    serve(sys.argv[1:])
