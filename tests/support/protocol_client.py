"""A reference client of docs/protocol.md: frames in; a transcript, and the commands it has to send, out. Pure."""

from typing import Any

Frame = dict[str, Any]


class Reader:
    """The rules of "Following a run", in Python. `messages` is the transcript by id, `events` all events received."""

    def __init__(self) -> None:
        self.finished: list[Frame] = []
        self.events: list[Frame] = []
        self.delta_chars = 0
        self.healed = ""
        """The text of the last run, as it was assembled when the run ended."""
        self.healed_parts: list[Frame] = []
        """Its parts, likewise."""

        self.forget()

    def forget(self) -> None:
        """Forget everything, like a page that is reloaded."""
        self.messages: dict[str, Frame] = {}
        self.runs: dict[str, Frame] = {}
        self.seqs: dict[str, int] = {}
        self.lost: set[str] = set()
        self.snapshot: Frame | None = None

    def apply(self, frame: Frame) -> list[Frame]:
        """Apply one event; returns the commands that have to be sent."""
        self.events.append(frame)
        match frame["type"]:
            case "snapshot":
                self.snapshot = frame
                self.runs = {run["id"]: run for run in frame.get("runs", [])}
                self._begin(frame.get("messages", []), frame.get("more", False))
            case "message.created":
                self._put(frame["message"])
                return self._hole_before(frame["message"])
            case "conversation.updated" if self.messages or self.snapshot:
                if frame["conversation"]["last_seq"] > max((m["seq"] for m in self.messages.values()), default=0):
                    return [{"type": "history.load", "before": frame["conversation"]["last_seq"] + 1}]
            case "conversation.state":
                return self._compare(frame)
            case "message.updated" | "message.deleted":
                self._put(frame["message"])
                self._prefer(frame["message"])
            case "history.page":
                for message in frame["messages"]:
                    if message["id"] not in self.messages:
                        self._put(message)
            case "run.started":
                run = frame["message"]["run"]
                self.runs[run["id"]] = run
                if frame["message"]["id"] not in self.messages:
                    self._put(frame["message"])
                return self._hole_before(frame["message"])
            case "run.delta" | "run.tool":
                return self._delta(frame)
            case "run.state":
                if frame["seq"] >= self.seqs.get(frame["run"], 0):
                    self._put(frame["message"])
                    self.lost.discard(frame["run"])
                    return self._hole_before(frame["message"])
            case "run.finished":
                self.finished.append(frame)
                self.runs.pop(frame["run"], None)
                for message in self.messages.values():
                    if self._of(message, frame["run"]):
                        self.healed, self.healed_parts = message["text"], message["parts"]
                if frame["message"] is not None:
                    self._put(frame["message"])
                    return self._hole_before(frame["message"])
        return []

    def _begin(self, newest: list[Frame], more: bool) -> None:
        """Replace everything from the snapshot's first message on."""
        first = newest[0]["seq"] if more else 0
        self.messages = {key: message for key, message in self.messages.items() if message["seq"] < first}
        self.lost.clear()
        for message in newest:
            self._put(message)

    def _compare(self, frame: Frame) -> list[Frame]:
        """Compare a conversation's state with what was received, and ask for what is missing."""
        newest = max((message["seq"] for message in self.messages.values()), default=0)
        commands: list[Frame] = []
        if frame["last_seq"] > newest:
            commands.append({"type": "history.load", "before": frame["last_seq"] + 1})
        asked_after = {
            run for run in {*self.runs, frame["run"]} if run and (run not in self.runs or run != frame["run"])
        }
        return commands + [{"type": "run.sync", "run": run} for run in asked_after]

    def _delta(self, frame: Frame) -> list[Frame]:
        run = frame["run"]
        if any(end["run"] == run for end in self.finished):
            return []
        last = self.seqs.get(run, 0)
        message = next((m for m in self.messages.values() if self._of(m, run)), None)
        if message is None or frame["seq"] > last + 1:
            if run in self.lost:
                return []
            self.lost.add(run)
            return [{"type": "run.sync", "run": run}]
        if frame["seq"] == last + 1:
            if call := frame.get("call"):
                if all(known["id"] != call["id"] for known in message["calls"]):
                    self._add_part(message, {"type": "call", "call": call["id"]})
                others = [known for known in message["calls"] if known["id"] != call["id"]]
                place = next((n for n, known in enumerate(message["calls"]) if known["id"] == call["id"]), len(others))
                message["calls"] = [*others[:place], call, *others[place:]]
            for part in ("text", "thinking"):
                if added := frame.get(part):
                    message[part] += added
                    self.delta_chars += len(added)
                    self._add_part(message, {"type": part, "length": len(added)})
            self.seqs[run] = frame["seq"]
        return []

    @staticmethod
    def _add_part(message: Frame, part: Frame) -> None:
        """The rule of "Parts"."""
        parts = message["parts"]
        end = len(parts)
        if message["continues"] and part["type"] == "thinking" and parts and parts[-1]["type"] == "text":
            end -= 1
        if part["type"] == "call" or end == 0 or parts[end - 1]["type"] != part["type"]:
            parts.insert(end, part)
        else:
            parts[end - 1] = part | {"length": parts[end - 1]["length"] + part["length"]}

    def _hole_before(self, message: Frame) -> list[Frame]:
        seq = message["seq"]
        if seq == 1 or any(known["seq"] == seq - 1 for known in self.messages.values()):
            return []
        return [{"type": "history.load", "before": seq}]

    @staticmethod
    def _of(message: Frame, run: str) -> bool:
        return bool(message["run"]) and message["run"]["id"] == run

    def _put(self, message: Frame) -> None:
        if message["id"] not in self.messages:
            self._prefer(message)
        self.messages[message["id"]] = message
        if message["replaces"]:
            self.messages.pop(message["replaces"], None)
        if not message["shown"]:
            del self.messages[message["id"]]
        if run := message["run"]:
            self.seqs[run["id"]] = run["seq"]
            if run["status"] in ("queued", "running", "awaiting_approval"):
                self.runs[run["id"]] = run
            else:
                self.runs.pop(run["id"], None)

    def _prefer(self, message: Frame) -> None:
        """Show the alternative that was received last."""
        for other in message["alternatives"]:
            if other != message["id"]:
                self.messages.pop(other, None)

    @property
    def transcript(self) -> list[tuple[str, str]]:
        """Role and text of each message, in order."""
        return [(m["role"], m["text"]) for m in sorted(self.messages.values(), key=lambda m: m["seq"])]

    @property
    def answer(self) -> Frame:
        """The newest answer."""
        return max((m for m in self.messages.values() if m["role"] == "assistant"), key=lambda m: m["seq"])

    def of_type(self, name: str) -> list[Frame]:
        return [frame for frame in self.events if frame["type"] == name]
