"""A server for tests of the teacher: it speaks OpenAI's chat completions, and misbehaves as it is told."""

import base64
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

THOUGHT = "The image shows what a careful reader would point out, here and there."


@dataclass
class Seen:
    """One request: its path, headers, instruction, image and time."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        return next(part["text"] for part in self.body["messages"][0]["content"] if part["type"] == "text")

    @property
    def image(self) -> Image.Image:
        [url] = [part["image_url"]["url"] for part in self.body["messages"][0]["content"] if "image_url" in part]
        return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))

    @property
    def labels(self) -> str:
        """The labels that the teacher was told, as they were written."""
        return re.search(r"are known: (.*?)\.\n", self.text, re.DOTALL)[1]  # type: ignore[index]

    @property
    def right(self) -> str:
        """An answer to be accepted."""
        return f"<think>{THOUGHT}</think><solution>{self.labels}</solution>"


@dataclass
class Reply:
    """What the server does: a text in an answer, or a status, or worse."""

    text: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None  # instead of an answer
    cut: int | None = None  # bytes after which the connection is closed
    wait: float = 0.0  # seconds before the answer
    drip: float = 0.0  # seconds between two bytes
    model: str | None = None  # another than was asked
    finish: str = "stop"


Behave = Callable[[Seen, int], Reply]


class Server:
    """A running server; `seen` are its requests so far."""

    def __init__(self, behave: Behave) -> None:
        self.behave, self.lock = behave, threading.Lock()
        self.seen: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.handle(self)

            do_HEAD = do_POST

            def log_message(self, *words: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.http.server_address[1]}"

    def handle(self, at: BaseHTTPRequestHandler) -> None:
        sent = at.rfile.read(int(at.headers.get("Content-Length", 0)))
        seen = Seen(at.path, dict(at.headers), json.loads(sent or b"{}"))
        with self.lock:
            self.seen.append(seen)
            number = len(self.seen)
        reply = self.behave(seen, number)
        time.sleep(reply.wait)
        with suppress(BrokenPipeError, ConnectionResetError):
            self.answer(at, reply, seen.body.get("model", ""))

    def answer(self, at: BaseHTTPRequestHandler, reply: Reply, model: str) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": reply.finish}
        used = {"prompt_tokens": 700, "completion_tokens": 60, "total_tokens": 800}  # 40 of thinking, as Google counts
        made = {"model": reply.model or model, "choices": [choice], "usage": used}
        raw = json.dumps(made).encode() if reply.raw is None else reply.raw
        at.send_response(reply.status)
        for name, value in {**reply.headers, "Content-Type": "application/json", "Content-Length": len(raw)}.items():
            at.send_header(name, str(value))
        at.end_headers()
        for start in range(0, len(raw), 1 if reply.drip else len(raw)):
            at.wfile.write(raw[start : start + 1] if reply.drip else raw[: reply.cut])
            time.sleep(reply.drip)
        at.close_connection = True


@contextmanager
def running(behave: Behave) -> Iterator[Server]:
    """A server on a free port of this machine, until the end of the block."""
    server = Server(behave)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def right(seen: Seen, number: int) -> Reply:
    """Behave well."""
    return Reply(seen.right)
