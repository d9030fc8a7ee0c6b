"""A server for tests of the teacher: it speaks OpenAI's and Gemini's interfaces, and misbehaves as it is told."""

import base64
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

THOUGHT = "The film shows what a careful reader would point out, here and there."


@dataclass
class Seen:
    """One request: its path, headers, instruction, and the film's size, mode and bytes."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    text: str
    film: Image.Image
    at: float

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
    """A running server; `seen` are its requests so far, `most` those it had under way at the same time at most."""

    def __init__(self, behave: Behave) -> None:
        self.behave, self.seen, self.lock = behave, [], threading.Lock()
        self.seen: list[Seen]
        self.now, self.most = 0, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.handle(self)

            def log_message(self, *words: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.http.server_address[1]}"

    def handle(self, at: BaseHTTPRequestHandler) -> None:
        body = json.loads(at.rfile.read(int(at.headers["Content-Length"])))
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            seen = _seen(at.path, dict(at.headers), body)
            self.seen.append(seen)
            number = len(self.seen)
        try:
            reply = self.behave(seen, number)
            time.sleep(reply.wait)
            self.answer(at, reply, body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with self.lock:
                self.now -= 1

    def answer(self, at: BaseHTTPRequestHandler, reply: Reply, body: dict[str, Any]) -> None:
        made = _gemini if "generateContent" in at.path else _openai
        raw = made(reply, at.path, body) if reply.raw is None else reply.raw
        at.send_response(reply.status)
        for name, value in reply.headers.items():
            at.send_header(name, value)
        at.send_header("Content-Type", "application/json")
        at.send_header("Content-Length", str(len(raw)))
        at.end_headers()
        for start in range(0, len(raw), 1 if reply.drip else len(raw)):
            at.wfile.write(raw[start : start + 1] if reply.drip else raw[: reply.cut])
            time.sleep(reply.drip)
        at.close_connection = True


def _seen(path: str, headers: dict[str, str], body: dict[str, Any]) -> Seen:
    if "contents" in body:
        parts = body["contents"][0]["parts"]
        text = next(part["text"] for part in parts if "text" in part)
        film = next(part["inlineData"]["data"] for part in parts if "inlineData" in part).replace("-", "+")
        film = film.replace("_", "/")
    else:
        parts = body["messages"][0]["content"]
        text = next(part["text"] for part in parts if part["type"] == "text")
        film = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url").partition(",")[2]
    return Seen(path, headers, body, text, Image.open(io.BytesIO(base64.b64decode(film))), time.monotonic())


def _openai(reply: Reply, path: str, body: dict[str, Any]) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": reply.text}, "finish_reason": reply.finish}
    used = {"prompt_tokens": 700, "completion_tokens": 100}
    return json.dumps({"model": reply.model or body["model"], "choices": [choice], "usage": used}).encode()


def _gemini(reply: Reply, path: str, body: dict[str, Any]) -> bytes:
    used = {"promptTokenCount": 700, "candidatesTokenCount": 60, "thoughtsTokenCount": 40}
    model = reply.model or re.search(r"models/(.*?):", path)[1]  # type: ignore[index]
    if reply.finish == "content_filter":
        return json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": model}).encode()
    parts = [{"text": "a thought of its own", "thought": True}, {"text": reply.text or ""}]
    finish = {"stop": "STOP", "length": "MAX_TOKENS"}[reply.finish]
    first = {"content": {"role": "model", "parts": parts}, "finishReason": finish}
    return json.dumps({"candidates": [first], "modelVersion": model, "usageMetadata": used}).encode()


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
