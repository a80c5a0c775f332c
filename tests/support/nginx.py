"""nginx in front of sites."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from . import servers
from .servers import Server

IS_INSTALLED = shutil.which("nginx") is not None


class Proxy(Server):
    """nginx in front of processes of one site."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running_nginx(folder: Path, port: int, config: str) -> Iterator[Proxy]:
    """nginx with this content of its block `http`, which listens on `port`. Its files are in `folder`."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""  # the folder is root's then
    file = folder / "nginx.conf"
    file.write_text(
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ {temporary}\n{config} }}\n"
    )
    proxy = Proxy([str(shutil.which("nginx")), "-e", str(folder / "error.log"), "-c", str(file)], port)
    with servers.running(proxy):
        yield proxy
