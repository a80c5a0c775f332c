"""The provider itself: routes requests to behaviours, counts streams, and runs in a thread or as a process."""

import asyncio
import json
import threading
import time
import urllib.parse
import urllib.request
from typing import Any, Self

from . import behaviours, wires
from .connection import Connection, Cut, Gone


class Script:
    """A model that answers its requests, one after the other, with these bodies: server-sent events, or an error of
    status 400 if the body is a JSON object. The last one is repeated. `requests` are the requests received.
    """

    def __init__(self, *bodies: bytes | dict[str, Any]) -> None:
        self.requests: list[Any] = []
        self._bodies = bodies

    async def play(self, connection: Connection, request: Any) -> None:
        self.requests.append(request)
        body = self._bodies[min(len(self.requests), len(self._bodies)) - 1]
        if isinstance(body, dict):
            await connection.whole(400, body)
        else:
            await connection.whole(200, body, content_type="text/event-stream")


class Service:
    """One provider: what all of its connections share."""

    def __init__(self) -> None:
        self.stats: dict[str, Any] = {
            "started": 0, "finished": 0, "aborted": 0, "active": 0, "connections": 0, "words": 0, "aborts": [],
        }  # fmt: skip
        self.last: dict[str, Any] = {}
        self.held: set[wires.Answer] = set()
        self.scripts: dict[str, Script] = {}

    async def listen(self, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self), "127.0.0.1", port)

    async def answer(
        self, connection: Connection, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        """Answer one request. Raises Gone and Cut."""
        if path == "/stats":
            return await connection.whole(200, self.stats)
        if path == "/last":
            return await connection.whole(200, self.last)
        if path == "/release":
            held = len(self.held)
            self.held.clear()
            return await connection.whole(200, held)
        wire = next((wire for ending, wire in wires.WIRES.items() if ending in path), None)
        if method != "POST" or wire is None:
            return await connection.whole(404, {"error": {"message": f"nothing at {path}"}})
        request = json.loads(body)
        self.last = {"path": path, "headers": headers, "body": request}
        if wire is wires.GeminiAnswer:
            request["model"] = urllib.parse.unquote(path.partition("/models/")[2].partition(":stream")[0])
        name, _, options = request["model"].partition("@")
        if name in self.scripts:
            return await self.scripts[name].play(connection, request)
        if name == "told":
            asked = [message["content"] for message in request["messages"] if message["role"] == "user"]
            name, _, options = asked[-1].split()[-1].partition("@")
        answer = wire(connection, request, dict(part.split("=", 1) for part in options.split(",") if "=" in part))
        behaviour = behaviours.BEHAVIOURS.get(name)
        if behaviour is None:
            error = {"message": f"The model `{name}` does not exist", "code": "model_not_found"}
            return await connection.whole(404, {"error": error})
        self.stats["started"] += 1
        self.stats["active"] += 1
        try:
            await behaviour(answer)
            self.stats["finished"] += 1
            self.stats["words"] = answer.words
        except Gone:
            self.stats["aborted"] += 1
            self.stats["aborts"].append({"model": request["model"], "at": time.time(), "words": answer.words})
            raise
        except Cut:
            self.stats["finished"] += 1
            raise
        finally:
            self.stats["active"] -= 1
        return None


class Upstream:
    """A provider in a thread of this process, on a free port. A context manager."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._service = Service()
        server = self._loop.run_until_complete(self._service.listen(0))
        self.port = server.sockets[0].getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bare_url(self) -> str:
        """The base URL for wires that have no `/v1`."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, model: str, *bodies: bytes | dict[str, Any]) -> Script:
        """Make `model` a Script of these bodies."""
        script = self._service.scripts[model] = Script(*bodies)
        return script

    @property
    def scripts(self) -> dict[str, Script]:
        """The models that `script` has made."""
        return self._service.scripts

    def stats(self) -> dict[str, Any]:
        return self._get("/stats")

    def last(self) -> dict[str, Any]:
        return self._get("/last")

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


async def main(port: int) -> None:
    server = await Service().listen(port)
    print(f"a provider is at http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()
