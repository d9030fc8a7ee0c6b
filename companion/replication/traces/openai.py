"""Any server that speaks OpenAI's chat completions: a local vLLM, or a service (with the standard library alone).

Three habits of HTTP clients would send a patient's film further than meant, and are off: a redirect is
never followed, a server on this machine or network is never reached through a proxy, and the key goes nowhere else.
"""

import base64
import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from companion.replication.traces.answer import Answer, Ask, NoAnswer, Then
from companion.replication.traces.settings import Teacher
from companion.replication.traces.status import failed

#: Bytes of a response at most; an answer of a thousand tokens has some five thousand.
LONGEST = 4_000_000


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an error."""

    def redirect_request(self, *words: Any, **named: Any) -> None:
        return None


def make(teacher: Teacher, key: str, local: bool) -> Ask:
    """A function that asks `teacher.model` at `teacher.base_url`; without a key it sends none."""
    direct = [urllib.request.ProxyHandler({})] if local else []
    opener = urllib.request.build_opener(_Stay, *direct)
    headers = {"Content-Type": "application/json", "User-Agent": "chexreason"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    address = f"{teacher.base_url.rstrip('/')}/chat/completions"

    def ask(instruction: str, film: bytes) -> Answer:
        body = json.dumps(_body(teacher, instruction, film)).encode()
        request = urllib.request.Request(address, body, headers, method="POST")
        try:
            return _answer(_received(opener, request, teacher.timeout_s))
        except urllib.error.HTTPError as error:
            error.close()
            raise failed(error.code, error.headers.get("Retry-After")) from None
        except TimeoutError:
            raise NoAnswer(f"no answer within {teacher.timeout_s} s") from None
        except urllib.error.URLError as error:
            late = isinstance(error.reason, TimeoutError)
            raise NoAnswer(f"no answer within {teacher.timeout_s} s" if late else "no connection") from None
        except (http.client.HTTPException, OSError):
            raise NoAnswer("the connection broke off") from None

    return ask


def _body(teacher: Teacher, instruction: str, film: bytes) -> dict[str, Any]:
    url = f"data:image/png;base64,{base64.b64encode(film).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": instruction}]
    sampling = {} if teacher.temperature is None else {"temperature": teacher.temperature}
    messages = [{"role": "user", "content": content}]
    return {"model": teacher.model, "messages": messages, "max_tokens": teacher.max_tokens, **sampling}


def _received(opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float) -> bytes:
    """The whole response. The socket's own limit is for each read, so a server that drips would never be late."""
    late, received = time.monotonic() + timeout, b""
    with opener.open(request, timeout=timeout) as response:
        while chunk := response.read1(65_536):
            received += chunk
            if time.monotonic() > late:
                raise TimeoutError
            if len(received) > LONGEST:
                raise NoAnswer(f"an answer of more than {LONGEST:,} bytes", Then.NEXT)
    return received


def _answer(received: bytes) -> Answer:
    """What a chat completion says; NoAnswer if it is none."""
    try:
        response = json.loads(received)
        choice = response["choices"][0]
        text = choice["message"].get("content")
        finish, usage, model = choice.get("finish_reason"), response.get("usage") or {}, response.get("model")
        tokens = [int(usage.get(f"{kind}_tokens") or 0) for kind in ("prompt", "completion")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise NoAnswer("a response that is no chat completion") from None
    return Answer(
        text if isinstance(text, str) else "",
        model if isinstance(model, str) else "",
        cut=finish == "length",
        refused=finish == "content_filter" or bool(choice["message"].get("refusal")),
        tokens_in=tokens[0],
        tokens_out=tokens[1],
    )
