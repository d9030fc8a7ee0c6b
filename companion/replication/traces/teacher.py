"""Which model writes the traces of real images (section 3.2.1), and which servers may be sent an image.

The paper says: Gemini 2.5, given image and labels, told to reason as if on its own. The rest is ours. Any server that
speaks OpenAI's chat completions can be asked: Google's own, Vertex AI's, or a local vLLM. These settings stay out of
a run's settings and digest: what they lead to is the traces, and a run keeps a digest of those.

PhysioNet's agreement for credentialed data, MIMIC-CXR-JPG among it, forbids sharing them with a third party, through an
API as well (physionet.org/news/post/llm-responsible-use, 24 September 2025). So such an image goes to somebody else's
server only if the profile says that the agreement allows it. A server on this machine or network counts as one's own;
that it does not pass the image on is for its owner to know.
"""

import ipaddress
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from chexreason.config import Profile, overridden
from chexreason.errors import UserError
from chexreason.settings import UNREAD, assumed

#: Addresses of this machine and of networks that the internet does not reach (RFC 1918, RFC 4193).
OWN = [
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]
#: The environment variable that holds the server's key. It is never written, shown or put into an address.
KEY = "CHEXREASON_TEACHER_KEY"


@dataclass(frozen=True)
class Teacher:
    """Which model writes the traces, where and how it is asked; UserError for a value out of range."""

    model: str = assumed("gemini-2.5-pro", "3.2.1 says Gemini 2.5 and not which of them", "the model that is asked")
    base_url: str = assumed(
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "the paper's teacher is Gemini; ai.google.dev/gemini-api/docs/openai",
        "the server's address, http://localhost:8000/v1 for instance",
    )
    agreement: bool = assumed(
        False, "only you can know", "true: your data use agreement lets images and labels go to this server"
    )
    image_pixels: int = assumed(768 * 768, f"{UNREAD}; one of Gemini's tiles", "pixels of an image that is sent")
    reasoning_effort: str | None = assumed(
        "low", f"{UNREAD}; bounds the price", "how much the model thinks; null leaves it out of the request"
    )
    max_tokens: int = assumed(2048, UNREAD, "tokens of an answer at most, thinking included")
    attempts: int = assumed(4, UNREAD, "answers to one study that may be rejected before it is given up")
    parallel: int = assumed(4, "an answer takes many seconds", "requests under way at the same time")
    timeout_s: int = assumed(120, "thinking takes its time", "seconds until a request counts as failed")
    retries: int = assumed(
        6, "with doubling waits some two minutes", "times that a failed request is sent again", minimum=0
    )
    failures_in_a_row: int = assumed(5, "a server that is down stays down", "studies without an answer before stopping")

    @property
    def local(self) -> bool:
        """Whether the server is on this machine or network: nobody sends a bill, and no proxy is in between."""
        return is_own(self.base_url)


def teacher_of(profile: Profile) -> Teacher:
    """The teacher's settings with the profile's overrides; UserError for an unknown one, another type or range."""
    return overridden(profile.overrides, "teacher", Teacher, profile.name)


def is_own(url: str) -> bool:
    """Whether every address that the host's name stands for belongs to this machine or a private network.

    >>> is_own("http://127.0.0.1:8000/v1"), is_own("https://localhost@8.8.8.8/v1")
    (True, False)
    """
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return False
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    plain = [getattr(address, "ipv4_mapped", None) or address for address in addresses]
    return bool(plain) and all(any(a in network for network in OWN if network.version == a.version) for a in plain)


def check_address(teacher: Teacher) -> None:
    """Raise UserError for a base_url that is no address, may hold a key, or would send images unencrypted elsewhere."""
    do = "set teacher.base_url, such as http://localhost:8000/v1"
    try:
        parts = urlsplit(teacher.base_url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or set("@?#;%=&") & set(teacher.base_url):
        wanted, got = "the teacher's address of host, port and path", "another, not shown since it may hold a key"
        raise UserError(wanted, got, f"{do}; a key goes into {KEY}")
    if parts.scheme == "http" and not teacher.local:
        raise UserError("https for a server that is not on this network", "http, which others can read", do)


def permit(teacher: Teacher, credentialed: bool) -> str:
    """The server's key, once this teacher may be asked; "" for a local server without one. Sends nothing.

    Raises UserError for a wrong address, credentialed images that would go to a third party without the user's word
    that they may, and a missing key.
    """
    check_address(teacher)
    host, key = urlsplit(teacher.base_url).hostname, os.environ.get(KEY, "")
    if credentialed and not (teacher.agreement or teacher.local):
        got = f"{host}, a third party, and teacher.agreement: false"
        wanted = "a teacher of your own, or one your agreement allows"
        raise UserError(wanted, got, "read physionet.org/news/post/llm-responsible-use")
    if not (key or teacher.local):
        raise UserError(f"a key for {host}", "none in the environment", f"export {KEY}=...; it is written nowhere")
    return key
