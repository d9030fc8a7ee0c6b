"""The laboratory in a browser, opened from disk without a network, against the Python that it stands for."""

import contextlib
import io
import json
import random
import shutil

import numpy as np
import pandas as pd
import pytest
from test_book import CHROMIUM, PATIENCE, built, sync_playwright  # noqa: F401 -- a fixture

from chexreason import config, rewards, runs
from chexreason.completions import THINK_SOLUTION, parse_completion
from chexreason.labels import FINDINGS, NO_FINDING
from companion.evidence import paired
from companion.lab import groups, rows, xrays

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened(built):  # noqa: F811
    """Opens a page of the laboratory; whatever its console says fails the test."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM, timeout=PATIENCE)

        def open_page(name: str, **options):
            context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, **options)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("console", lambda one: one.type in ("error", "warning") and said.append(one.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto((built / f"{name}.html").as_uri(), wait_until="load")
            return page

        yield open_page
        browser.close()
    assert said == []


@pytest.fixture(scope="module")
def patients():
    return xrays.data(xrays.answers(), pictures=False)["patients"]


def test_every_filter_counts_what_python_counts(opened, patients) -> None:
    page = opened("xrays")
    for at in xrays.HOSPITALS:
        page.select_option("select[name=at]", at)
        for name in xrays.FILTERS:
            page.select_option("select[name=filter]", name)
            wanted = sum(xrays.matches(name, one, at) for one in patients)
            assert page.get_attribute(".lab-xrays", "data-shown") == str(wanted), (at, name)


def test_each_patient_has_the_chips_of_what_was_drawn_recorded_and_said(opened, patients) -> None:
    page = opened("xrays")
    chips = """(where) => [...document.querySelectorAll(where + ' .lab-chip')]
        .map((chip) => [chip.dataset.finding, chip.dataset.kind])"""
    page.focus(".lab-xrays button")
    for at in xrays.HOSPITALS:
        page.select_option("select[name=at]", at)
        for one in patients:
            drawn = set(one["drawn"])
            for hospital, labels in one["recorded"].items():
                shown = dict(page.evaluate(chips, f".lab-told > [data-hospital={hospital}]"))
                yes, perhaps = ({n for n, state in labels.items() if state == s} for s in ("yes", "perhaps"))
                wanted = {n: "right" if n in drawn else "wrong" for n in yes} | {f"{n}?": "perhaps" for n in perhaps}
                assert shown == wanted | dict.fromkeys(drawn - yes - perhaps, "missed")
            for model, said in one["said"].items():
                shown = page.evaluate(chips, f"[data-model={model}]")
                assert shown == [[name, "right" if name in drawn else "wrong"] for name in said[at]["labels"]]
                text = page.inner_text(f"[data-model={model}] .lab-text")
                assert text.split() == said[at]["text"].split()
            page.click("text=next →")


def test_outlines_are_the_masks() -> None:
    """Each unit square of the grid lies inside its path if and only if the finding is drawn there."""
    from matplotlib.path import Path as Outline

    for index in xrays.chosen()[:8]:
        _, where = xrays.draw_with_masks(xrays.patients.World("A", "B").case(index), xrays.SIDE)
        for name, mask in where.items():
            lines = [line for line in xrays.outline(mask).split("Z") if line]
            small = mask[:: xrays.SIDE // xrays.GRID, :: xrays.SIDE // xrays.GRID]
            middles = np.stack(np.meshgrid(np.arange(xrays.GRID) + 0.5, np.arange(xrays.GRID) + 0.5), -1).reshape(-1, 2)
            inside = np.zeros(len(middles), bool)
            for line in lines:  # even-odd
                points = np.array([point.split() for point in line[1:].split("L")], float)
                inside ^= Outline(np.vstack([points, points[:1]])).contains_points(middles)
            assert (inside.reshape(small.shape) == small).all(), name


@pytest.mark.parametrize("honest", [True, False])
def test_whoever_ticks_what_was_drawn_gets_one_and_who_ticks_nothing_does_not(opened, patients, honest) -> None:
    page = opened("xrays")
    page.click("text=read ten yourself")
    ten = [patients[k]["index"] for k in range(0, len(patients), len(patients) // xrays.TEN)][: xrays.TEN]
    for index in page.evaluate("LAB.xrays.ten"):
        drawn = next(one["drawn"] for one in patients if one["index"] == index)
        for name in drawn if honest else ():
            if name != NO_FINDING:
                page.check(f".lab-boxes input[value='{name}']")
        page.click(".lab-next")
    assert page.evaluate("LAB.xrays.ten") == ten
    cell = page.locator(".lab-result tbody tr").first.locator("td").first
    assert (float(cell.get_attribute("data-macro")) == float(cell.get_attribute("data-micro")) == 1) == honest


def paid(name: str, constants: dict[str, float], answers, truths) -> list[float]:
    made = rewards.REWARDS[name](**constants)
    if name == "nuanced":
        made.frequencies = groups.shares()
    return [
        sum(made(parse_completion(text, THINK_SOLUTION), frozenset(truth), text).values())
        for text, truth in zip(answers, truths, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "change"),
    [("hard", {}), ("hard", {"short_penalty": 0.4, "min_length": 60}), ("nuanced", {}), ("nuanced", {"exact": 0}),
     ("nuanced", {"false_positive": 90, "window": 20, "dominance": 0.4})],
)  # fmt: skip
def test_every_answer_is_paid_as_python_pays_it(opened, name, change) -> None:
    page, given = opened("try_reward"), groups.data()
    page.select_option("select[name=name]", name)
    for key, value in change.items():
        page.fill(f"input[name={key}]", str(value))
    constants = given["constants"][name] | change
    answers = [text for group in given["groups"] for text in group["said"]]
    truths = [group["truth"] for group in given["groups"] for _ in group["said"]]
    wanted = np.array(paid(name, constants, answers, truths)).reshape(-1, groups.SIZE)
    script = """([name, change]) => {
        const values = Object.entries(LAB.words.rewards[name]);
        const usual = Object.fromEntries(values.map(([key, one]) => [key, one.value]));
        const constants = {...usual, ...LAB.reward.constants[name], ...change};
        return LAB.groups(name, constants).map((one) => one.rewards);
    }"""
    shown = page.evaluate(script, [name, change])
    assert np.allclose(shown, wanted, rtol=0, atol=1e-12)
    ties = sum(len(set(row)) == 1 for row in np.round(wanted, 12).tolist())
    assert page.get_attribute("[data-ties]", "data-ties") == str(ties)
    first = [float(one) for one in page.evaluate(
        "[...document.querySelectorAll('[data-advantage]')].map((one) => one.dataset.advantage)")]  # fmt: skip
    assert np.allclose(first, wanted[0] - wanted[0].mean(), atol=1e-9)
    for model, texts in given["validation"]["said"].items():
        told = float(page.get_attribute(f"li[data-model={model}]", "data-reward"))
        assert told == pytest.approx(np.mean(paid(name, constants, texts, given["validation"]["truth"])), abs=1e-9)


def test_what_is_typed_is_read_and_paid_term_by_term(opened) -> None:
    page = opened("try_reward")
    text = "<think>" + "word " * 60 + "</think><solution>Edema, Fracture, gout</solution>"
    page.fill(".lab-reward textarea", text)
    for name in FINDINGS:
        chip = page.locator(".lab-reward .lab-toggle", has_text=name).first
        if (chip.get_attribute("aria-pressed") == "true") != (name == "Edema"):
            chip.click()
    # A study has one label at least: what is taken off last stays until another is there.
    for name in FINDINGS:
        chip = page.locator(".lab-reward .lab-toggle", has_text=name).first
        if (chip.get_attribute("aria-pressed") == "true") != (name == "Edema"):
            chip.click()
    parsed = parse_completion(text, THINK_SOLUTION)
    for name, cls in (("hard", rewards.Hard), ("nuanced", rewards.Nuanced)):
        page.select_option("select[name=name]", name)
        made = cls(**groups.data()["constants"][name])
        if name == "nuanced":
            made.frequencies = groups.shares()
        for term, value in made(parsed, frozenset({"Edema"}), text).items():
            assert float(page.get_attribute(f"[data-term={term}]", "data-value")) == pytest.approx(value, abs=1e-12)
    assert "Unknown: gout" in page.inner_text(".lab-read")


def test_forty_reanalyses_are_the_packages_and_so_is_the_python_that_is_shown(opened) -> None:
    page, chance = opened("compare_runs"), random.Random(3)
    cohorts = rows.data("demo")
    for k in range(40):
        where = chance.choice(sorted(cohorts))
        held = cohorts[where]
        ids = chance.sample(sorted(held["runs"]), 2)
        some = chance.sample(held["findings"], chance.randint(1, len(held["findings"])))
        names = [name for name in held["findings"] if name in some]
        policy, drop = chance.choice(["zeros", "ones", "ignore"]), chance.random() < 0.3
        opened_runs = tuple(paired.open_run(one, "demo", config.RESULTS) for one in ids)
        tables = tuple(paired.rows_of(one) for one in opened_runs)
        wanted = paired.compare(opened_runs, tables, findings=names, policy=policy, drop_failures=drop, resamples=1000)
        script = "([where, ...how]) => LAB.reanalysed(LAB.again[where], ...how, 1000)"
        found = page.evaluate(script, [where, ids, names, policy, drop])
        table = pd.DataFrame(found["table"])
        assert (found["studies"], found["patients"]) == (wanted.studies, wanted.patients), k
        assert list(table["score"]) == list(wanted.table["score"])
        for column in ("positives", "first", "second", "difference", "low", "high"):
            assert np.allclose(table[column].astype(float), wanted.table[column].astype(float), rtol=0, atol=1e-12,
                               equal_nan=True), (k, column)  # fmt: skip


def test_the_python_that_is_shown_prints_the_pages_numbers_and_the_forks_are_counted(opened) -> None:
    page = opened("compare_runs")
    page.select_option("select[name=resamples]", "1000")
    page.click("button[name=nine]")
    assert page.get_attribute("[data-looked]", "data-looked") == "2", "all findings, and nine"
    page.click(".lab-python summary")
    shown, said = page.inner_text(".lab-python pre"), io.StringIO()
    with contextlib.redirect_stdout(said):
        space: dict[str, object] = {}
        exec(shown, space)
    table = pd.DataFrame(page.evaluate("JSON.parse(document.querySelector('.lab-again').dataset.found)"))
    mine = space["found"].table
    assert np.allclose(table["difference"].astype(float), mine["difference"].astype(float), atol=1e-12)
    assert f"{mine['difference'].iloc[0]:.6f}"[:8] in said.getvalue()
    flips = int(page.get_attribute("[data-flips]", "data-flips"))
    ids = [page.input_value(f"select[name={which}]") for which in ("first", "second")]
    first, second = (paired.rows_of(paired.open_run(one, "demo"))["predicted"] for one in ids)
    nine = set(page.evaluate("LAB.words.label_sets.nih9"))
    kept = [[set(cell.split(";")) & nine for cell in side] for side in (first, second)]
    assert flips == sum(one != other for one, other in zip(*kept, strict=True))


@pytest.mark.parametrize("name", ["xrays", "try_reward", "compare_runs"])
def test_a_page_is_whole_without_scripts(opened, name) -> None:
    page = opened(name, java_script_enabled=False)
    assert page.locator(".lab details[open] tbody tr").count() >= 10
    assert page.locator(".lab details[open]").first.is_visible()


def test_rows_of_credentialed_data_are_shown_on_no_page(tmp_path, monkeypatch) -> None:
    """Three planted runs: MIMIC's and CheXpert's as a replication are refused, NIH's, which are public, are not."""
    run_id = "04-generalization-qwen-nih"
    table = paired.rows_of(paired.open_run(run_id, "demo", config.RESULTS))
    for source, secret in (("mimic", "SECRET-M"), ("chexpert", "SECRET-C"), ("nih", "public-n")):
        name = f"04-generalization-qwen-{source}"
        place = shutil.copytree(config.RESULTS / "demo" / run_id, tmp_path / "paper" / name)
        keys = [f"{secret}-{k}" for k in range(len(table))]
        table.assign(study_key=keys, states="Edema=1").to_csv(place / "predictions.csv.gz", index=False)
        info = json.loads((place / "run.json").read_text())
        info |= {"tier": "replication", "dataset": source, "run_id": name, "profile": "paper"}
        (place / "run.json").write_text(json.dumps(info))
    monkeypatch.setenv("CHEXREASON_RESULTS", str(tmp_path))
    assert len(runs.read_all(tmp_path / "paper")) == 3
    told = str(rows.data("paper"))
    assert ("SECRET" in told, "public-n" in told) == (False, True)


LIST, SFT, HARD = ({"from": source, "pad": 250, "share": 100, "labels": []} for source in ("list", "sft", "hard"))
NORMAL = {**LIST, "labels": [NO_FINDING]}
TURNS = [{**NORMAL, "share": 69}, {**LIST, "share": 31, "labels": ["Pleural Effusion"]}]
#: Level -> rules that win it, and rules that do not.
POLICIES = {0: ([SFT], [{**SFT, "pad": 0}]), 1: ([SFT], [HARD]), 2: (TURNS, [NORMAL]), 3: (TURNS, [NORMAL])}


@pytest.mark.parametrize("level", POLICIES)
def test_each_level_of_the_game_is_won_by_one_policy_and_not_by_another(opened, level) -> None:
    page = opened("try_reward")
    script = """([level, rules, change]) => {
        const values = Object.entries(LAB.words.rewards.nuanced);
        const constants = Object.fromEntries(values.map(([key, one]) => [key, one.value]));
        return LAB.wins(LAB.levels()[level], rules, {...constants, ...change}).won;
    }"""
    right, wrong = POLICIES[level]
    assert page.evaluate(script, [level, right, {"dominance": 0.5} if level == 3 else {}])
    assert not page.evaluate(script, [level, wrong, {"dominance": 0.5} if level == 3 else {}])
    assert level != 3 or not page.evaluate(script, [level, right, {}])


def test_the_game_is_played_by_hand_and_pays_as_python(opened) -> None:
    page, given = opened("try_reward"), groups.data()["validation"]
    assert page.get_attribute(".lab-game", "data-won") == "false"
    page.fill("input[name=pad-0]", "250")
    page.press("input[name=pad-0]", "Tab")
    page.wait_for_function("document.querySelector('.lab-game').dataset.won === 'true'")
    texts = [text.replace("<think>", "<think>" + " " * 250) for text in given["said"]["sft"]]
    assert f"{np.mean(paid('hard', {}, texts, given['truth'])):.3f}" in page.inner_text(".lab-game p")
