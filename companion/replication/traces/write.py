"""Having a teacher write the traces of real images: asked, judged, and kept one by one (section 3.2.1).

Each study is asked about until an answer passes `check.fault`, or `teacher.attempts` answers have not. The thread that
asked puts what passes on the disk before it asks again, so a process that is killed loses the answers under way and no
other, Ctrl-C loses none, and the same command goes on; what was given up is asked about again.
"""

import errno
import fcntl
import io
import json
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from PIL import Image
from tqdm import tqdm

from chexreason.cohorts import Cohort
from chexreason.config import Profile
from chexreason.data.image import UnreadableImage, open_image
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.labels import positives
from chexreason.prompts import Prompt
from chexreason.traces import entry_of, place, read
from companion.phantoms.teacher.completion import write_completion
from companion.replication.traces import check
from companion.replication.traces.ask import Answer, Ask, NoAnswer, repeated
from companion.replication.traces.teacher import Teacher, teacher_of
from companion.speed.images import shrunk

#: How every line begins that `Lines.add` writes.
_BEGINNING = b'{"study": '


class Lines:
    """A file of traces that this process alone adds to; `found` is what it holds, by study.

    What a killed process left of a line is taken away. Raises UserError if another process is writing the file, and
    for an end that `add` never wrote: what else was kept under this name must not be lost.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            got = "another process that is writing it"
            raise UserError(f"to be alone at {path.name}", got, "wait for that one to end") from None
        held = path.read_bytes()
        start = held.rfind(b"\n") + 1
        if entry_of(rest := held[start:]):  # the beginning of a JSON object is never a whole one
            file.write(b"\n")
        elif not _BEGINNING.startswith(rest[: len(_BEGINNING)]) or rest.rstrip().endswith(b"}"):
            got = "an end that is no beginning of a line"
            raise UserError(f"JSON lines of study and trace in {path.name}", got, "convert that file or move it away")
        else:
            file.truncate(start)
        self._file, self.found = file, read(path)

    def add(self, study: str, trace: str, **about: str) -> None:
        """Append one line, on the disk when this returns. ASCII, so that no character in a trace can end a line."""
        line, end = json.dumps({"study": study, "trace": trace, **about}).encode() + b"\n", self._file.seek(0, 2)
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:  # a full disk: no half line may stand before another thread's
            self._file.truncate(end)
            raise


class Tally(Counter[str]):
    """What a run led to, counts only, fit to be shown; `faults` are the reasons that answers were turned down for."""

    def __init__(self, there: int) -> None:
        super().__init__(there=there)
        self.faults: Counter[str] = Counter()

    def __str__(self) -> str:
        """One line, and one for each fault."""
        rest = ("given up", "without an answer", "unreadable images", "tokens in", "tokens out")
        more = "".join(f", {self[what]:,} {what}" for what in rest if self[what])
        faults = "".join(f"\n  answers turned down: {n} x {fault}" for fault, n in self.faults.most_common())
        return f"{self['written']} traces written, {self['there']} were there{more}{faults}"


def write(
    chosen: Cohort, prompt: Prompt, profile: Profile, ask: Ask, limit: int | None = None, progress: bool = True
) -> Tally:
    """Write what is missing of a cohort's traces, at most `limit` of them.

    Raises UserError where the file holds traces of another teacher or for other labels, and when the server fails too
    often or answers with another model; what was written until then is kept.
    """
    wanted = {study.key: positives(study.labels, profile.decoding.uncertain) for study in chosen.studies}
    path = place(profile, prompt)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        lines = Lines(path, file)
        check_held(lines, prompt, teacher_of(profile), wanted)
        missing = [study for study in chosen.studies if study.key not in lines.found]
        tally, left = Tally(len(chosen.studies) - len(missing)), missing[:limit]
        if prompt.answer.think:
            _Asking(prompt, teacher_of(profile), ask, wanted, lines, tally).run(left, progress)
            return tally
        for study in left:  # the labels are the whole answer
            lines.add(study.key, write_completion("", wanted[study.key], prompt.answer))
            tally["written"] += 1
        return tally


def check_held(lines: Lines, prompt: Prompt, teacher: Teacher, wanted: dict[str, frozenset[str]]) -> None:
    """Raise UserError for traces of these studies that do not fit: other labels, another teacher or another text."""
    mine = {"teacher": teacher.model, "told": check.version(prompt)}
    held = [lines.found[key] for key in wanted if key in lines.found]
    faults = [check.fault(Answer(entry["trace"]), prompt, wanted[entry["study"]]) for entry in held]
    unfit = sum(bool(fault) or (mine | entry) != (entry | mine) for fault, entry in zip(faults, held, strict=True))
    if unfit:
        raise UserError(
            f"traces by {teacher.model}, told as now, that fit the labels", f"{unfit} of {len(held)} that do not",
            f"go on with the teacher and labels of {prompt.name}.jsonl, or move it away",
        )  # fmt: skip


@dataclass
class _Asking:
    """Several threads that ask about one study each; they share the file, the tally and the reason to stop."""

    prompt: Prompt
    teacher: Teacher
    ask: Ask
    wanted: dict[str, frozenset[str]]
    lines: Lines
    tally: Tally
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    in_a_row: int = 0
    reason: str = ""

    def run(self, left: list[Study], progress: bool) -> None:
        """Ask about every study. Whatever ends it early, answers under way are paid for and kept, too."""
        with ThreadPoolExecutor(self.teacher.parallel) as pool:
            futures = [pool.submit(self.about, study) for study in left]
            try:
                for future in tqdm(as_completed(futures), self.prompt.name, len(left), disable=not progress):
                    future.result()
            finally:
                self.stop.set()
        if self.reason:
            kept = f"{self.tally['written']} new traces are kept: correct that, or wait, and run it again"
            raise UserError(f"answers from {self.teacher.model}", self.reason, kept)

    def about(self, study: Study) -> None:
        """Ask about one study until an answer passes, and keep it. Raises UserError if another model answers."""
        if self.stop.is_set():
            return
        ask, fault, end = repeated(self.ask, self.teacher.retries, self.stop), "", "given up"
        try:
            image = png(study, self.teacher.image_pixels)
            for _ in range(self.teacher.attempts):
                fault = self.keep(study, ask(check.instruction(self.prompt, self.wanted[study.key], fault), image))
                if not fault:
                    return
        except UnreadableImage:
            end = "unreadable images"
        except NoAnswer as none:
            end = "without an answer"
            self.failed(none)
        except BaseException:  # no further request, however soon this thread takes its next study
            self.stop.set()
            raise
        with self.lock:
            self.tally[end] += 1

    def keep(self, study: Study, answer: Answer) -> str:
        """Count an answer and write it if it passes; returns its fault."""
        fault = check.fault(answer, self.prompt, self.wanted[study.key])
        with self.lock:
            self.in_a_row = 0
            self.tally.update({"tokens in": answer.tokens_in, "tokens out": answer.tokens_out})
            check.same_model(self.teacher.model, answer.model)
            if fault:
                self.tally.faults[fault] += 1
            else:
                about = {"teacher": self.teacher.model, "told": check.version(self.prompt)}
                self.lines.add(study.key, answer.text.strip(), **about, answered_by=answer.model)
                self.tally["written"] += 1
        return fault

    def failed(self, none: NoAnswer) -> None:
        """Stop where no request will be answered, or after too many studies in a row without an answer."""
        with self.lock:
            self.in_a_row += 1
            if not self.reason and (none.final or self.in_a_row >= self.teacher.failures_in_a_row):
                self.reason = str(none) + (f", for {self.in_a_row} studies in a row" if self.in_a_row > 1 else "")
                self.stop.set()


def png(study: Study, pixels: int) -> bytes:
    """The image as it is sent: its pixels in grey, shrunk, and nothing else that its file says (a name, a profile)."""
    grey, file = shrunk(open_image(study.image), pixels), io.BytesIO()
    Image.frombytes("L", grey.size, grey.tobytes()).save(file, "PNG")
    return file.getvalue()
