"""daphne on uvloop's event loop: `python -m nousproject.server [daphne's options]`.

Plain `daphne` works as well; uvloop saves about a third of the CPU per streamed delta.
"""

import asyncio
import os
import sys
import warnings

APPLICATION = "nousproject.asgi:application"


def use_uvloop() -> None:
    """Make daphne use uvloop. It creates its event loop when it is imported, at the latest by `django.setup()`."""
    if sys.platform != "win32":
        import uvloop

        with warnings.catch_warnings():  # daphne has no other way to choose its event loop
            warnings.simplefilter("ignore", DeprecationWarning)
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def serve(arguments: list[str]) -> None:
    """Serve until a signal ends the process. `arguments` are daphne's options, without the application."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nousproject.settings")
    use_uvloop()
    from daphne.cli import CommandLineInterface  # creates its event loop on import

    if os.environ.get("LOG_FORMAT") == "json":  # without the access log, which is none; the proxy writes one
        arguments = ["--verbosity", "0", *arguments]
    CommandLineInterface().run([*arguments, APPLICATION])


if __name__ == "__main__":
    serve(sys.argv[1:])
