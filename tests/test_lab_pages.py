"""The laboratory in a browser, opened from disk without a network, against the Python that it stands for."""

import contextlib
import io
import itertools
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
from companion.evidence.drawn import AGAINST, cases
from companion.lab import exercises, groups, pyodide, rows, xrays

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened(built):  # noqa: F811
    """Opens a page of the laboratory; whatever its console says, and any request to a network, fails the test."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM, timeout=PATIENCE)

        def open_page(name: str, address: str = "", before=lambda page: None, **options):
            context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True, **options)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("console", lambda one: one.type in ("error", "warning") and said.append(one.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on(
                "request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or said.append(asked.url)
            )
            before(page)
            page.goto((built / f"{name}.html").as_uri() + address, wait_until="load")
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
                wanted = {n: "right" if n in drawn else "wrong" for n in yes} | dict.fromkeys(perhaps, "perhaps")
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
        against = chance.choice(AGAINST)
        some += ["Atelectasis"]  # which all labels have
        names = [name for name in held["findings"] if name in some]
        policy, drop = chance.choice(["zeros", "ones", "ignore"]), chance.random() < 0.3
        opened_runs = tuple(paired.open_run(one, "demo", config.RESULTS) for one in ids)
        tables = tuple(paired.rows_of(one) for one in opened_runs)
        how = {"policy": policy, "drop_failures": drop, "against": against}
        wanted = paired.compare(opened_runs, tables, findings=names, resamples=1000, **how)
        script = "([where, ...how]) => LAB.reanalysed(LAB.again[where], ...how, 1000)"
        found = page.evaluate(script, [where, ids, names, policy, drop, against])
        table = pd.DataFrame(found["table"])
        assert (found["studies"], found["patients"]) == (wanted.studies, wanted.patients), k
        assert list(table["score"]) == list(wanted.table["score"])
        for column in ("positives", "first", "second", "difference", "low", "high"):
            assert np.allclose(table[column].astype(float), wanted.table[column].astype(float), rtol=0, atol=1e-12,
                               equal_nan=True), (k, column)  # fmt: skip


def test_means_over_seeds_are_the_packages_and_so_is_their_python(opened) -> None:
    [(where, held)] = rows.seeds().items()
    page = opened("compare_runs", f"#where={where}&seed=mean&first=sft&second=nuanced&against=drawn")
    assert page.input_value("select[name=seed]") == "mean"
    space: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(page.evaluate("document.querySelector('.lab-python pre').textContent"), space)
    mine, shown = space["found"].table, pd.DataFrame(json.loads(page.get_attribute(".lab-again", "data-found")))
    assert space["found"].seeds == len(held["seeds"]) >= 2
    assert list(shown["score"]) == list(mine["score"])
    for column in ("positives", "first", "second", "difference", "low", "high"):
        assert np.allclose(shown[column].astype(float), mine[column].astype(float), rtol=0, atol=1e-12, equal_nan=True)
    page.select_option("select[name=seed]", "1")
    assert page.locator(".lab-flips").count() == 1


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
    """MIMIC's and CheXpert's are refused, also under another tier's name; NIH's, which are public, are not."""
    run_id = "04-generalization-qwen-nih"
    table = paired.rows_of(paired.open_run(run_id, "demo", config.RESULTS))
    planted = [("mimic", "SECRET-M", "replication"), ("chexpert", "SECRET-C", "replication"),
               ("nih", "public-n", "replication"), ("mimic", "SECRET-D", "miniature")]  # fmt: skip
    for source, secret, tier in planted:
        name = f"04-generalization-{tier}-{source}"
        place = shutil.copytree(config.RESULTS / "demo" / run_id, tmp_path / "paper" / name)
        keys = [f"{secret}-{k}" for k in range(len(table))]
        table.assign(study_key=keys, states="Edema=1").to_csv(place / "predictions.csv.gz", index=False)
        info = json.loads((place / "run.json").read_text())
        info |= {"tier": tier, "dataset": source, "run_id": name, "profile": "paper"}
        (place / "run.json").write_text(json.dumps(info))
    monkeypatch.setenv("CHEXREASON_RESULTS", str(tmp_path))
    assert len(runs.read_all(tmp_path / "paper")) == len(planted)
    told = str(rows.data("paper"))
    assert ("SECRET" in told, "public-n" in told) == (False, True)


LIST, SFT = ({"from": source, "pad": 250, "share": 100, "labels": []} for source in ("list", "sft"))
NORMAL = {**LIST, "labels": [NO_FINDING]}
TURNS = [{**NORMAL, "share": 69}, {**LIST, "share": 31, "labels": ["Pleural Effusion"]}]
FEW = {**SFT, "pad": 50}
#: Level -> rules that win it, and rules that do not.
POLICIES = {0: ([SFT], [{**SFT, "pad": 0}]), 1: ([FEW], [SFT]), 2: (TURNS, [NORMAL]), 3: (TURNS, [NORMAL])}


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


PAGES = ("xrays", "try_reward", "compare_runs", "exercises")
#: What checks that pages can be used without sight or mouse: its version, and its SHA-512 as npm has it.
AXE = ("axe-core", "4.14.1", "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==")


@pytest.fixture(scope="module")
def axe() -> str:
    package, why = pyodide.fetched(*AXE)
    assert package is not None, why
    return pyodide.member(package, "axe.min.js").decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_in_what_is_ours(opened, axe, name, theme) -> None:
    page = opened(name, color_scheme=theme)
    page.evaluate("document.querySelectorAll('.lab details').forEach((one) => { one.open = true; })")
    page.evaluate(axe)
    found = page.evaluate(
        "axe.run('.lab', {preload: false}).then((said) => said.violations.map((one) => [one.id, one.nodes[0].html]))"
    )
    assert found == []


@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out_on_a_phone_whatever_is_open(opened, name) -> None:
    page = opened(name)
    page.set_viewport_size({"width": 360, "height": 700})
    page.evaluate("document.querySelectorAll('.lab details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = """[...document.querySelectorAll('.lab *')].filter((one) => one.getBoundingClientRect().right > 361
        && !one.closest('.cxr-scroll, pre, textarea, svg, option')).map((one) => one.outerHTML.slice(0, 90))"""
    assert page.evaluate(wide) == []


def test_whoever_uses_the_keys_keeps_the_place(opened) -> None:
    page, focused = opened("compare_runs"), "document.activeElement.textContent"
    page.focus(".lab-again .lab-toggle >> nth=3")
    name = page.evaluate(focused)
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == name
    assert page.get_attribute(".lab-again .lab-toggle >> nth=3", "aria-pressed") == "false"
    page.click(".lab-flips summary")
    page.select_option("select[name=failures]", "drop")
    assert page.locator(".lab-flips").get_attribute("open") is not None
    page = opened("try_reward")
    page.focus(".lab-game button[name=more]")
    for _ in range(3):
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.name") == "more"
    page.fill("input[name=share-0]", "-5")
    page.keyboard.press("Tab")
    assert page.input_value("input[name=share-0]") == "0"
    page = opened("xrays")
    page.click("button[name=read]")
    assert not page.is_visible("select[name=filter]")
    assert not page.is_visible("select[name=at]"), "ten of one hospital"
    page.check(".lab-boxes input >> nth=2")
    page.focus(".lab-next")
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "next X-ray"
    assert not page.is_checked(".lab-boxes input >> nth=2")


def test_an_address_leads_to_what_was_looked_at(opened) -> None:
    page = opened("compare_runs")
    page.select_option("select[name=where]", "nih, test split")
    page.select_option("select[name=against]", "drawn")
    page.click(".lab-again .lab-toggle >> nth=0")
    found, address = page.get_attribute(".lab-again", "data-found"), page.evaluate("location.hash")
    page.close()
    again = opened("compare_runs", address)
    assert again.get_attribute(".lab-again", "data-found") == found
    assert again.input_value("select[name=where]") == "nih, test split"
    page = opened("xrays", "#at=C&filter=changed")
    page.click("text=next →")
    shown, address = page.inner_text(".lab-told"), page.evaluate("location.hash")
    assert opened("xrays", address).inner_text(".lab-told") == shown
    page = opened("try_reward")
    page.select_option("select[name=name]", "nuanced")
    page.fill("input[name=exact]", "7")
    page.fill(".lab-reward textarea", "<think>.</think><solution>Edema & Fracture</solution>")
    shown, address = page.inner_text(".lab-paid"), page.evaluate("location.hash")
    assert opened("try_reward", address).inner_text(".lab-paid") == shown
    assert opened("xrays", "#at=Z&filter=%3Cb%3E&patient=x").input_value("select[name=at]") == "A"
    assert opened("compare_runs", "#where=none&first=x&names=,").get_attribute("[data-looked]", "data-looked") == "1"


def test_a_changed_answer_leads_to_its_xray_and_both_answers(opened) -> None:
    page = opened("compare_runs")
    page.click(".lab-flips summary")
    page.click(".lab-flips td button, .lab-flips th button")
    page.wait_for_selector("[data-study]")
    key = page.get_attribute("[data-study]", "data-study")
    ids = [page.input_value(f"select[name={which}]") for which in ("first", "second")]
    run = paired.open_run(ids[0], "demo")
    [(_, case)] = cases(paired.drawing(run), str(run.info["split"]), [key])
    assert set(page.locator(".lab-seen [data-kind=drawn]").all_inner_texts()) == case.truth
    assert page.evaluate("document.querySelector('.lab-seen img').naturalWidth") == xrays.SIDE
    for place, one in enumerate(ids):
        row = paired.rows_of(paired.open_run(one, "demo")).set_index("study_key").loc[key]
        shown = page.locator(".lab-seen .lab-model").nth(place)
        assert shown.locator(".lab-text").inner_text().split() == str(row["completion"]).split()
        named = [name for name in str(row["predicted"]).split(";") if name]
        assert sorted(shown.locator(".lab-chip").all_inner_texts()) == sorted(named)


def test_one_run_against_itself_and_absent_findings_are_no_comparison(opened) -> None:
    page = opened("compare_runs")
    rows_of = {row.locator("th").inner_text(): row.locator("td").all_inner_texts()
               for row in page.locator(".lab-out .cxr-scroll").first.locator("tbody tr").all()}  # fmt: skip
    table = json.loads(page.get_attribute(".lab-again", "data-found"))
    absent = [one["score"] for one in table if one["positives"] == 0]
    assert all(rows_of[name][0] == "–" for name in absent)
    counted = int(page.get_attribute("[data-intervals]", "data-intervals"))
    assert counted == sum(
        one["low"] is not None and one["low"] < one["high"] and one["positives"] != 0 for one in table
    )
    page.select_option("select[name=resamples]", "1000")
    assert page.get_attribute("[data-looked]", "data-looked") == "1", "the same results from fewer draws are no fork"
    page.select_option("select[name=second]", page.input_value("select[name=first]"))
    assert "same one" in page.inner_text(".lab-out")


def test_a_run_that_concludes_nothing_is_marked_as_the_command_marks_it(opened) -> None:
    for where, held in rows.data("demo").items():
        ids = sorted(held["runs"])
        for pair in itertools.pairwise(ids):
            both = tuple(paired.open_run(one, "demo", config.RESULTS) for one in pair)
            wanted = paired.compare(both, tuple(map(paired.rows_of, both)), resamples=2)
            page = opened("compare_runs", f"#where={where}&first={pair[0]}&second={pair[1]}&resamples=1000")
            told = [f"The {side} {why}: its differences carry no conclusion."
                    for side, why in zip(("first", "second"), wanted.unfit, strict=True) if why]  # fmt: skip
            assert page.locator(".lab-warned").all_inner_texts() == told
            page.close()


def test_an_address_in_an_open_tab_is_followed_and_inherited_names_are_none(opened) -> None:
    page = opened("compare_runs")
    page.evaluate("location.hash = '#where=nih%2C+test+split&against=report'")
    page.wait_for_function("document.querySelector('select[name=where]')?.value === 'nih, test split'")
    assert page.input_value("select[name=against]") == "report"
    for name, address in (("compare_runs", "#where=toString&policy=toString&first=constructor&seed=constructor"),
                          ("try_reward", "#group=length&name=toString"), ("xrays", "#filter=constructor")):  # fmt: skip
        assert opened(name, address).locator(".lab[data-ready] select").count() > 0


def test_the_game_says_what_is_missing(opened) -> None:
    page = opened("try_reward")
    page.select_option("select[name=level]", index=2)
    assert "every rule has to be a list" in page.inner_text(".lab-game p")
    page.select_option("select[name=from-0]", "list")
    page.select_option("select[name=level]", index=3)
    assert "win level three with them first" in page.inner_text(".lab-game p")
    page.fill("input[name=fix-exact]", "-4")
    page.keyboard.press("Tab")
    assert page.input_value("input[name=fix-exact]") == "100"
    assert page.evaluate("document.activeElement.name") == "fix-recall"
    page.reload()
    assert page.input_value("select[name=level]") == "3"
    assert page.input_value("select[name=from-0]") == "list"


@pytest.fixture(scope="module")
def python(opened):
    """The page of exercises of a book that has Python for its pages: npm has to be reached."""
    page = opened("exercises")
    assert page.evaluate("LAB.python.missing") == ""
    return page


def test_every_exercise_comes_out_in_the_page_as_in_cpython(python) -> None:
    run = "([code, checks]) => LAB.runPython(code, checks, () => {})"
    for name in exercises.names():
        one = exercises.get(name)
        for code in (one.given, one.solution, *(code for _, code in one.wrong)) if one.kind == "starter" else ():
            assert python.evaluate(run, [code, list(one.checks)]) == exercises.check(one, code), (name, code)


def test_exercises_are_done_by_hand_kept_and_handed_in(opened, python, tmp_path) -> None:
    page = opened("exercises")
    for name in exercises.names():
        one, part = exercises.get(name), page.locator(f".lab-exercise[data-exercise={name}]")
        if one.kind == "starter":
            part.locator("button[name=run]").click()
            part.locator("[data-right=false]").first.wait_for()
            part.locator("textarea").fill(one.solution)
            part.locator("button[name=run]").click()
        elif one.kind == "number":
            part.locator("input").fill(exercises.right_answer(one))
            part.locator("button[name=run]").click()
        else:
            wrong, right = (next(text for text, _, good in exercises.choices(one) if good == kind) for kind in (0, 1))
            part.locator("label", has_text=wrong).locator("input").check()
            assert page.get_attribute(f"[data-exercise={name}]", "data-right") == "false"
            part.locator("label", has_text=right).locator("input").check()
        page.wait_for_selector(f"[data-exercise={name}][data-right=true]")
    with page.expect_download() as saved:
        page.locator("button[name=hand-in]").first.click()
    given = json.loads(saved.value.path().read_text(encoding="utf-8"))["answers"]
    assert {one["exercise"] for one in given} == set(exercises.names())
    for one in given:
        assert one["digest"] == exercises.get(one["exercise"]).digest
        assert exercises.passed(exercises.check(exercises.get(one["exercise"]), one["answer"]))
    page.reload()
    assert page.locator(".lab-exercise[data-right=true]").count() == len(exercises.names())


def test_exercises_wait_for_one_another_and_a_dead_python_starts_anew(opened, python) -> None:
    page = opened("exercises")
    one, other = (page.locator(f".lab-exercise[data-exercise={name}]") for name in ("advantages", "equation_3"))
    slow = "sum(range(3_000_000))\n" + exercises.get("advantages").solution
    one.locator("textarea").fill(slow)
    for part in (one, other):
        part.locator("button[name=run]").click()
    other.locator("[data-right=false]").first.wait_for()
    titles = [check["title"] for check in exercises.get("equation_3").checks]
    assert [text[2:].split("\n")[0] for text in other.locator(".lab-checks li").all_inner_texts()] == titles
    assert one.get_attribute("data-right") == "true"
    assert other.get_attribute("data-right") == "false"
    one.locator("textarea").press("End")
    one.locator("textarea").type(" ")
    assert one.get_attribute("data-right") == "false", "what was changed has not been checked"
    one.locator("textarea").fill("import os; os._exit(3)")
    one.locator("button[name=run]").click()
    one.get_by_text("Python itself ended").wait_for()
    one.locator("textarea").fill("assert 1 == 2")
    one.locator("button[name=run]").click()
    one.get_by_text("line 1: AssertionError").wait_for()
    assert one.get_attribute("data-right") == "false"
    one.locator("textarea").fill(exercises.get("advantages").solution)
    one.locator("button[name=run]").click()
    one.get_by_text("All checks pass.").wait_for()
    assert page.evaluate("document.activeElement.name") == "run"


def test_an_endless_loop_is_stopped_and_the_page_goes_on(opened, python) -> None:
    page = opened("exercises")
    part = page.locator(".lab-exercise[data-exercise=advantages]")
    page.evaluate("LAB.python.limit = 1")
    part.locator("textarea").fill("while True: pass")
    part.locator("button[name=run]").click()
    part.get_by_text("It was stopped after 1 seconds").wait_for()
    page.evaluate("LAB.python.limit = 600")
    part.locator("button[name=run]").click()
    part.get_by_text("running").wait_for()
    part.locator("button[name=stop]").click()
    part.get_by_text("It was stopped.").wait_for()
    part.locator("textarea").fill(exercises.get("advantages").solution)
    part.locator("button[name=run]").click()
    part.get_by_text("All checks pass.").wait_for()


def test_without_webassembly_or_python_the_command_is_still_there(opened) -> None:
    page = opened("exercises", before=lambda page: page.add_init_script("delete globalThis.WebAssembly"))
    part = page.locator(".lab-exercise[data-exercise=advantages]")
    part.locator("summary").click()
    assert "chexreason exercise advantages" in part.inner_text()
    told = '(globalThis.LAB ??= {}).python = {"missing": "npm could not fetch it", "sources": {}};'
    page = opened(
        "exercises", before=lambda page: page.route("**/python-data.js", lambda route: route.fulfill(body=told))
    )
    assert "without Python for its pages: npm could not fetch it" in page.inner_text(".lab-exercise >> nth=0")
    assert page.locator(".lab-exercise button[name=run]").count() == len(
        [name for name in exercises.names() if exercises.get(name).kind == "number"]
    )


def test_no_solution_is_in_the_book(built) -> None:  # noqa: F811
    own = {}
    for name in exercises.names():
        one = exercises.get(name)
        shown = "".join([one.task, one.given, *(check["code"] for check in one.checks), *pyodide.sources().values()])
        own |= {
            line.strip(): name for line in one.solution.splitlines() if len(line) > 20 and line.strip() not in shown
        }
    assert len(own) >= 3
    for place in [*built.rglob("*.js"), *built.rglob("*.html")]:
        if place.name != "pyodide.js":
            text = place.read_text(encoding="utf-8")
            assert [(line, name) for line, name in own.items() if line in text] == [], place
