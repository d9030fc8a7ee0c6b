"""Having a teacher write the traces of real films: asked, judged, and kept one by one (section 3.2.1).

Each study is asked about until an answer passes `check.fault`, or `teacher.attempts` answers have not. What passes
is on the disk before the next is taken, so a process that is killed loses the answers under way and no other,
and the same command goes on. What is given up is listed beside the traces, and asked about again by the next run.
"""

import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, field

from tqdm import tqdm

from chexreason import cohorts
from chexreason.cohorts import Chosen
from chexreason.config import Profile
from chexreason.data.film import UnreadableFilm, open_film, shrunk
from chexreason.data.study import Study
from chexreason.errors import UserError
from chexreason.files import write_atomically
from chexreason.labels import positives
from chexreason.prompts import Prompt
from chexreason.traces import place, write_completion
from companion.replication.traces import check, instructions
from companion.replication.traces.answer import Answer, Ask, NoAnswer, Then
from companion.replication.traces.lines import Lines, as_json, opened
from companion.replication.traces.models import same_model
from companion.replication.traces.patience import Pace, Stopped, patiently
from companion.replication.traces.settings import Teacher, teacher_of


@dataclass
class Outcome:
    """What came of one study. Without a trace it was given up, or `none` says why no answer came."""

    study: Study
    trace: str = ""
    model: str = ""
    faults: Counter[str] = field(default_factory=Counter)
    none: NoAnswer | None = None
    unreadable: bool = False
    stopped: bool = False
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def given_up(self) -> bool:
        """Whether every answer was turned down."""
        return not (self.trace or self.none or self.unreadable or self.stopped)


@dataclass
class Tally:
    """What came of a run: counts only, fit to be shown."""

    there: int
    written: int = 0
    given_up: int = 0
    unanswered: int = 0
    unreadable: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, one: Outcome) -> None:
        """Count an outcome."""
        self.written += bool(one.trace)
        self.given_up += one.given_up
        self.unanswered += one.none is not None
        self.unreadable += one.unreadable
        self.tokens_in += one.tokens_in
        self.tokens_out += one.tokens_out
        self.faults += one.faults

    def __str__(self) -> str:
        """One line, and one for each reason that answers were turned down for."""
        told = [f"{self.written} traces written, {self.there} were there"]
        for count, what in (
            (self.given_up, "given up"), (self.unanswered, "without an answer"), (self.unreadable, "unreadable films")
        ):  # fmt: skip
            told += [f"{count} {what}"] if count else []
        lines = [f"  answers turned down: {count} x {fault}" for fault, count in self.faults.most_common()]
        return "\n".join([", ".join(told), *lines])


def write(
    chosen: Chosen, prompt: Prompt, profile: Profile, ask: Ask | None, limit: int | None = None, progress: bool = True
) -> Tally:
    """Write what is missing of a cohort's traces, at most `limit` of them; `ask` may be None where nothing is asked.

    Raises UserError where the file holds traces of another teacher or for other labels, and when the server fails too
    often or answers with another model; what was written until then is kept.
    """
    wanted = {study.key: positives(study.labels, profile.decoding.uncertain) for study in chosen.studies}
    path = place(profile, prompt)
    with opened(path) as lines:
        check_held(lines, prompt, teacher_of(profile), wanted)
        left = [study for study in chosen.studies if study.key not in lines.found][:limit]
        tally = Tally(there=len(chosen.studies) - sum(study.key not in lines.found for study in chosen.studies))
        if not instructions.needs_teacher(prompt):
            for study in left:
                lines.add(study.key, write_completion("", wanted[study.key], prompt.answer))
                tally.written += 1
        elif left and ask is not None:
            listed = path.with_suffix(".given_up.json")
            given_up = json.loads(listed.read_bytes()) if listed.is_file() else {}
            try:
                _ask_all(left, prompt, profile, ask, wanted, lines, tally, given_up, progress)
            finally:
                write_atomically(listed, as_json({key: why for key, why in given_up.items() if key not in lines.found}))
        return tally


def check_held(lines: Lines, prompt: Prompt, teacher: Teacher, wanted: dict[str, frozenset[str]]) -> None:
    """Raise UserError for traces of these studies that do not fit: other labels, another teacher or another text."""
    mine = {"teacher": teacher.model, "told": instructions.version(prompt)}
    held = [lines.found[key] for key in wanted if key in lines.found]
    unfit = sum(bool(check.fault(Answer(entry["trace"]), prompt, wanted[entry["study"]])) for entry in held)
    if unfit:
        raise UserError(
            f"traces for {prompt.name} that fit the labels recorded", f"{unfit} of {len(held)} that do not",
            "move the file away if the labels or the uncertainty policy have changed, and start again",
        )  # fmt: skip
    others = {str(entry[name])[:60] for entry in held for name in mine if entry.get(name, mine[name]) != mine[name]}
    if others and not teacher.mix:
        raise UserError(
            f"traces of one teacher, {teacher.model} told by version {mine['told']}", f"some of {sorted(others)}",
            "go on with that teacher, move the file away, or set teacher.mix to true",
        )  # fmt: skip


def _ask_all(
    left: list[Study], prompt: Prompt, profile: Profile, ask: Ask, wanted: dict[str, frozenset[str]],
    lines: Lines, tally: Tally, given_up: dict[str, dict[str, int]], progress: bool,
) -> None:  # fmt: skip
    """Ask about every study in several threads; only this one writes."""
    teacher = teacher_of(profile)
    pace = Pace(teacher.requests_per_minute)
    about = {"teacher": teacher.model, "told": instructions.version(prompt)}

    # A study holds a slot from its request until its trace is on the disk: a kill loses as many answers at most.
    slots = threading.Semaphore(teacher.parallel)

    def keep(one: Outcome) -> None:
        try:
            tally.add(one)
            if one.trace:
                lines.add(one.study.key, one.trace, **about, answered_by=one.model)
            if one.given_up:
                given_up[one.study.key] = dict(one.faults)
        finally:
            slots.release()

    def act(study: Study) -> Outcome:
        while not slots.acquire(timeout=0.2):
            if pace.stop.is_set():
                return Outcome(study, stopped=True)
        try:
            return _ask_about(study, wanted[study.key], prompt, profile, ask, pace)
        except BaseException:
            slots.release()
            raise

    with (
        ThreadPoolExecutor(teacher.parallel) as pool,
        tqdm(total=len(left), desc=prompt.name, unit="trace", mininterval=1.0, disable=not progress) as bar,
    ):
        in_a_row, reason = 0, ""
        with closing(_each([pool.submit(act, study) for study in left], keep, pace)) as outcomes:
            for one in outcomes:
                bar.update()
                bar.set_postfix(turned_down=tally.faults.total(), given_up=tally.given_up, refresh=False)
                in_a_row = in_a_row + 1 if one.none else 0
                if one.none and (one.none.then is Then.STOP or in_a_row >= teacher.failures_in_a_row):
                    reason = one.none.reason + (f", for {in_a_row} studies in a row" if in_a_row > 1 else "")
                    break
    if reason:
        kept = f"{tally.written} new traces are kept: mend that, or wait, and run the same command again"
        raise UserError(f"answers from {teacher.model}", reason, kept)


def _each(
    futures: Iterable[Future[Outcome]], keep: Callable[[Outcome], None], pace: Pace
) -> Generator[Outcome, None, None]:
    """Outcomes as they come, kept first. Whatever ends the loop early, answers under way are paid for and kept too."""
    left = set(futures)
    try:
        for future in as_completed(set(left)):
            left.discard(future)
            one = future.result()
            keep(one)
            yield one
    finally:
        pace.stop.set()
        for future in as_completed(left):
            if future.exception() is None:
                keep(future.result())


def _ask_about(
    study: Study, recorded: frozenset[str], prompt: Prompt, profile: Profile, ask: Ask, pace: Pace
) -> Outcome:
    """Ask about one study until an answer passes. Raises UserError if another model answers than was asked."""
    teacher, one, fault = teacher_of(profile), Outcome(study), ""
    if pace.stop.is_set():
        one.stopped = True
        return one
    rng = cohorts.stream(profile.seed, f"waits {study.key}")
    try:
        film = png(study, teacher.film_pixels)
        for _ in range(teacher.attempts):
            text = instructions.told(prompt, recorded, fault)
            answer = patiently(lambda text=text: ask(text, film), pace, teacher.retries, rng)  # type: ignore[misc]
            one.tokens_in += answer.tokens_in
            one.tokens_out += answer.tokens_out
            same_model(teacher.model, answer.model)
            fault = check.fault(answer, prompt, recorded)
            if not fault:
                one.trace, one.model = answer.text.strip(), answer.model
                break
            one.faults[fault] += 1
    except UnreadableFilm:
        one.unreadable = True
    except UserError:  # another model answers: no further request, however soon this thread takes its next study
        pace.stop.set()
        raise
    except NoAnswer as none:
        one.none = none
        if none.then is Then.STOP:
            pace.stop.set()
    except Stopped:
        one.stopped = True
    return one


def png(study: Study, pixels: int) -> bytes:
    """The film as it is sent: grey, shrunk, and without the file's name or what else its file says."""
    file = io.BytesIO()
    shrunk(open_film(study.image), pixels).save(file, "PNG")
    return file.getvalue()
