"""The servers that can be asked for traces, and whether one of them is a third party.

PhysioNet's agreement for credentialed data, MIMIC-CXR-JPG among it, forbids to share them with a third
party, through an API as well (physionet.org/news/post/llm-responsible-use, 24 September 2025). So such a
film goes to a server of somebody else's only if the profile says that one's agreement allows it. A server on
this machine or network is taken to be one's own; that it does not pass the film on is for its owner to know.
"""

import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from chexreason.errors import UserError, unknown
from companion.replication.traces import gemini, openai
from companion.replication.traces.answer import Ask
from companion.replication.traces.settings import Teacher

#: Addresses of this machine and of networks that the internet does not reach (RFC 1918, RFC 4193).
OWN = [
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
]


@dataclass(frozen=True)
class Backend:
    """A kind of server: how to ask it, where it is by default, and the variables that may hold its key."""

    make: Callable[[Teacher, str, bool], Ask]
    address: str
    keys: tuple[str, ...]

    def key(self) -> str:
        """The key from the environment, or nothing. It is never written, shown or put into an address."""
        return next((os.environ[name] for name in self.keys if os.environ.get(name)), "")


def get(name: str) -> Backend:
    """The backend of that name; raises UserError naming the known ones."""
    if name not in BACKENDS:
        raise unknown("teacher.backend", name, BACKENDS, "companion/replication/traces/backends.py")
    return BACKENDS[name]


def address(teacher: Teacher) -> str:
    """Where the films would go, as https://host:port/path. Raises UserError for what is no address, or an open one."""
    given = teacher.base_url or get(teacher.backend).address
    do = "set teacher.base_url in the profile, http://localhost:8000/v1 say"
    try:
        parts = urlsplit(given)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole:
        raise UserError("the address of the teacher's server", repr(given), do)
    if parts.username or parts.password or parts.query:
        raise UserError("an address without a key in it", "one with more than host, port and path",
                        "give the key in the environment: " + " or ".join(get(teacher.backend).keys))  # fmt: skip
    if parts.scheme == "http" and not is_own(given):
        raise UserError("https for a server that is not on this network", "http, which others can read", do)
    return given


def is_own(url: str) -> bool:
    """Whether every address that the host's name stands for belongs to this machine or a private network.

    >>> is_own("http://127.0.0.1:8000/v1"), is_own("https://localhost@8.8.8.8/v1")
    (True, False)
    """
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    plain = [getattr(one, "ipv4_mapped", None) or one for one in addresses]
    return bool(plain) and all(
        any(one in network for network in OWN if network.version == one.version) for one in plain
    )


def permit(teacher: Teacher, credentialed: bool) -> None:
    """Raise UserError where credentialed films would go to a third party without the user's word that they may."""
    where = address(teacher)
    if credentialed and not teacher.agreement and not is_own(where):
        raise UserError(
            "a teacher on this machine or network, or your word that your data use agreement allows another",
            f"{urlsplit(where).hostname}, a third party, and teacher.agreement: false",
            "read physionet.org/news/post/llm-responsible-use; then set teacher.base_url to a server of your own, or "
            "teacher.agreement to true",
        )


def ready(teacher: Teacher) -> Ask:
    """What asks the teacher. Raises UserError where its key or its library is missing; sends nothing."""
    backend, local = get(teacher.backend), is_own(address(teacher))
    by_login = teacher.backend == "gemini" and gemini.on_vertex()
    key = "" if by_login else backend.key()
    if not key and not local and not by_login:
        raise UserError(
            f"a key for {urlsplit(address(teacher)).hostname}", "none in the environment",
            f"export {' or '.join(backend.keys)}=...; it is not written anywhere",
        )  # fmt: skip
    if teacher.backend == "gemini" and not key and not by_login:
        key = "none"  # a stand-in on this machine asks for none, but the library does
    return backend.make(teacher, key, local)


#: Name -> backend. Another kind of server is another line here.
BACKENDS: dict[str, Backend] = {
    "gemini": Backend(gemini.make, "https://generativelanguage.googleapis.com", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
    "openai": Backend(openai.make, "", ("CHEXREASON_TEACHER_KEY",)),
}
