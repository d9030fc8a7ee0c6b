"""Whether the model that answered is the one that was asked.

Services replace a model that is withdrawn by another and go on answering: from 1 December 2026 the Gemini API answers
requests for gemini-2.5-pro with gemini-3.8-flash (ai.google.dev/gemini-api/docs/deprecations, as read by
aideprecations.com on 10 November 2026). Traces of a teacher that nobody chose must not pass for its own.
"""

import re

from chexreason.errors import UserError

#: What may follow a model's name: a dated or numbered version of it, or where it is served.
_VERSION = re.compile(r"(-(\d|preview|exp)[\w.-]*|[@:].*)?")


def same_model(asked: str, got: str) -> None:
    """Raise UserError if `came` names another model than was asked; a server that names none is believed.

    >>> same_model("gemini-2.5-pro", "models/gemini-2.5-pro-002")
    """
    wanted, answered = asked.rpartition("/")[2].lower(), got.rpartition("/")[2].lower()
    if not got or (answered.startswith(wanted) and _VERSION.fullmatch(answered.removeprefix(wanted))):
        return
    raise UserError(
        f"answers of {asked}", f"one of {got[:60]!r}: the server has put another model in its place",
        "set teacher.model to a model that the server has, and its price",
    )  # fmt: skip
