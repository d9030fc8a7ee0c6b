"""The front page's tables: what came out, what the experiment found, and what each tier can say."""

from collections.abc import Callable
from pathlib import Path

from chexreason.evidence import Evidence, gather, profile
from chexreason.report.behind import runs_behind
from chexreason.report.sentences import VISIBLE, leading
from chexreason.report.theme import TIERS, Html, badge, block, escape, scrolling, signed

Answer = Callable[[str], str]


def front(name: str | None = None, results: Path | None = None) -> Html:
    """The paper's main questions, each with the paper's answer and this profile's."""
    name = name or profile()
    tables = {number: gather(number, name, results) for number in range(1, 7)}
    tier = tables[1].tier
    questions: list[tuple[str, tuple[int, ...], Answer]] = [
        ("Which prompt suits the untouched model best?", (1,), lambda side: _lead(tables[1], side)),
        ("Which format should the medical model be taught in?", (2,), lambda side: _lead(tables[2], side)),
        ("… and the general model?", (3,), lambda side: _lead(tables[3], side)),
        ("Which reward wins?", (4,), lambda side: _reward(tables[4], side)),
        ("What does GRPO change on CheXpert?", (5,), lambda side: _step(tables[5], side)),
        ("… and on NIH?", (6,), lambda side: _step(tables[6], side)),
    ]
    rows = []
    for question, needs, answer in questions:
        whole = all(tables[number].runs and not tables[number].missing for number in needs)
        ours = answer("ours") if whole else "not run yet"
        rows.append(
            f'<tr><th scope="row" class="cxr-left cxr-wrap">{escape(question)}</th>'
            f'<td class="cxr-left cxr-wrap">{answer("paper")}</td>'
            f'<td class="cxr-left cxr-wrap cxr-ours">{ours}</td></tr>'
        )
    seen = {run.info["n"] for shown in tables.values() for run in shown.runs.values()}
    size = f"n = {min(seen)} to {max(seen)} studies" if len(seen) > 1 else "".join(f"n = {n} studies" for n in seen)
    head = f'<div class="cxr-head">{badge(tier, name, size, TIERS[tier])}</div>'
    body = _front_table(("question", "the paper", f"this run, {tier}"), rows)
    note = '<p class="cxr-note">All values are macro-F1.</p>'
    if not any(shown.runs for shown in tables.values()):
        note = f'<p class="cxr-note"><code>make book PROFILE={escape(name)}</code> computes this profile.</p>'
    runs = {run_id: run for shown in tables.values() for run_id, run in shown.runs.items()}
    return block(head + scrolling(body, "What came out") + note + runs_behind(runs.values()))


def experiment() -> Html:
    """The experiment's five questions, each with what its chapter found and the way there."""
    from chexreason.report.experiments import answers, cells, collapse, cures, scaffold, selection

    questions = {
        "cells": ("Films, labels or patients: what does reinforcement not carry over?", cells.verdict()),
        "scaffold": ("Do reasoning scaffolds help the model without medical pre-training?", scaffold.verdict()),
        "collapse": ("Does anything collapse without a stabiliser?", collapse.verdict()),
        "selection": ("How much of a gain is the choice of the checkpoint?", selection.verdict()),
        "cures": ("Does a cure gain abroad and lose nothing at home?", cures.verdict()),
    }
    rows = [
        f'<tr><th scope="row" class="cxr-left cxr-wrap"><a href="{page}.html">{escape(question)}</a></th>'
        f'<td class="cxr-left cxr-wrap cxr-ours">{escape(verdict or "not run yet")}</td></tr>'
        for page, (question, verdict) in questions.items()
    ]
    head = f'<div class="cxr-head">{answers.about()}</div>'
    body = _front_table(("question", "what the experiment found"), rows)
    note = "Changes of macro-F1 over nine findings, with 95 % intervals over seeds and patients where they are given."
    behind = answers.behind(*(answers.model(name) for name in ("base", answers.SFT, answers.HARD, answers.NUANCED)))
    return block(head + scrolling(body, "What the experiment found") + f'<p class="cxr-note">{note}</p>{behind}')


def tiers() -> Html:
    """The three tiers of evidence, and what each can say."""
    what = {
        "published": "what the paper's numbers do and do not support",
        "miniature": "why an effect can arise, with the truth known",
        "replication": "whether the paper's numbers come back",
    }
    rows = [
        f'<tr><th scope="row" class="cxr-left">{badge(tier)}</th>'
        f'<td class="cxr-left cxr-wrap">{escape(TIERS[tier])}</td>'
        f'<td class="cxr-left cxr-wrap">{escape(text)}</td></tr>'
        for tier, text in what.items()
    ]
    return block(scrolling(_front_table(("tier", "what it is", "what it can say"), rows), "The three tiers"))


def _front_table(heads: tuple[str, ...], rows: list[str]) -> str:
    """A table that breaks its lines rather than scroll."""
    head = "".join(f'<th scope="col" class="cxr-left">{escape(text)}</th>' for text in heads)
    return f'<table class="cxr-front"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _lead(shown: Evidence, side: str) -> str:
    return escape(leading(shown, side, "macro"))


def _reward(shown: Evidence, side: str) -> str:
    values = shown.side(side, "macro")
    hard, nuanced = values["hard_best"], values["nuanced_best"]
    winner = "neither" if abs(hard - nuanced) < VISIBLE else "hard" if hard > nuanced else "nuanced"
    return f"{winner} (hard {hard:.3f}, nuanced {nuanced:.3f})"


def _step(shown: Evidence, side: str) -> str:
    start, end = (shown.side(side, model)["macro"] for model in ("medgemma_sft", "chexreason"))
    return f"{signed(end - start)} ({start:.3f} → {end:.3f})"
