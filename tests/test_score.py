"""Predictions of one's own: every form that they come in, every way in which they are wrong, and the same numbers."""

import gzip
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
import yaml
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from chexreason import config, data, prompts, runs
from chexreason.labels import FINDINGS, LABEL_SETS, NIH_SHARED, POSITIVE
from chexreason.rows import row
from companion import report
from companion.evidence import comparable, scoring, tables
from companion.phantoms.prepare import prepare
from companion.replication.own import labels, reading
from companion.workflow import commands as cli
from companion.workflow import provenance

DEMO = config.RESULTS / "demo"


@pytest.fixture
def quick():
    """scikit-learn without its checks of what it is given, which take most of its time."""
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        yield


@pytest.fixture
def place(trees, tmp_path, monkeypatch) -> Path:
    """A user's machine: a folder for the file with predictions, and the variables that name the data sets."""
    for name in ("mimic", "chexpert", "nih"):
        monkeypatch.setenv(f"CHEXREASON_{name.upper()}", str(trees / name))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def score(place: Path, *words: str, dataset: str = "chexpert") -> int:
    folders = ["--results", str(place / "results"), "--cache", str(place / "cache")]
    return cli.main(["score", str(place / "mine.csv"), "--dataset", dataset, *folders, *words])


def studies(trees: Path, dataset: str, split: str = "test") -> tuple[data.Study, ...]:
    return data.load(dataset, trees / dataset, split).studies


def recorded(found, names=FINDINGS) -> pd.DataFrame:
    """A file of 0/1 labels that repeats what is recorded."""
    cells = [[int(study.labels.get(name) == POSITIVE) for name in names] for study in found]
    return pd.DataFrame(cells, columns=list(names))


def write(place: Path, frame: pd.DataFrame, ids, column: str = "Path", **options) -> pd.DataFrame:
    frame = frame.copy()
    frame.insert(0, column, list(ids))
    frame.to_csv(place / "mine.csv", index=False, **options)
    return frame


def run_of(place: Path, run_id: str = "04-generalization-mine-chexpert") -> runs.Run:
    found = runs.read(place / "results" / "paper" / run_id)
    assert found
    return found


IDS = {
    "chexpert": {
        "paths": lambda s: f"CheXpert-v1.0/test/{s.patient_id}/{s.study_id.split('-')[1]}/{s.image.name}",
        "other paths": lambda s: rf"D:\x\{s.patient_id}\{s.study_id.split('-')[1]}\{s.image.name}",
        "folders": lambda s: f"test/{s.patient_id}/{s.study_id.split('-')[1]}",
        "studies": lambda s: s.study_id,
        "keys": lambda s: s.key,
    },
    "nih": {
        "image names": lambda s: s.image.name,
        "studies": lambda s: s.study_id,
        "paths": lambda s: f"/x/images_003/images/{s.image.name}",
    },
    "mimic": {
        "studies": lambda s: s.study_id,
        "names of studies": lambda s: f"s{s.study_id}",
        "as a spreadsheet has them": lambda s: f"{s.study_id}.0",
        "dicom ids": lambda s: s.image.stem,
        "paths": lambda s: f"files/p10/p{s.patient_id}/s{s.study_id}/{s.image.name}",
        "paths of another image": lambda s: f"files/p10/p{s.patient_id}/s{s.study_id}/other.jpg",
    },
}


@pytest.mark.parametrize(("dataset", "form"), [(name, form) for name, forms in IDS.items() for form in forms])
def test_every_form_of_id_finds_its_study(place, trees, dataset, form) -> None:
    found = studies(trees, dataset)
    named = recorded(found, LABEL_SETS[data.SOURCES[dataset].scored_on])
    write(place, named, map(IDS[dataset][form], found))
    assert score(place, dataset=dataset) == 0
    run = run_of(place, f"04-generalization-mine-{dataset}")
    values = tables.scores(tables.known(run))
    assert values["micro", "f1"] == 1.0
    assert values["micro", "n"] == run.info["n"] == len(found)
    other = {"studies with a row on another image alone"} if form == "paths of another image" else set()
    assert run.info["left_out"].keys() <= {*data.load(dataset, trees / dataset, "test").left_out, *other}
    assert other <= run.info["left_out"].keys()


def completions(found, tag: str = "solution") -> pd.DataFrame:
    said = [", ".join(name for name in FINDINGS if s.labels.get(name) == POSITIVE) for s in found]
    return pd.DataFrame({"completion": [f"<think>I\nsee.</think>\n<{tag}>{one}</{tag}>" for one in said]})


def test_labels_probabilities_and_completions_are_told_apart(place, trees) -> None:
    found = studies(trees, "chexpert")
    right, values = recorded(found), {}
    for form, frame, words in [
        ("0/1 labels", right, ()), ("probabilities", right * 0.4 + 0.3, ()), ("completions", completions(found), ()),
        ("completions", completions(found, "answer"), ("--prompt", "nv_reason")),
        ("probabilities", right * 0.4 + 0.1, ("--threshold", "0.4")),
    ]:  # fmt: skip
        write(place, frame, [s.study_id for s in found])
        assert score(place, *words) == 0
        run = run_of(place)
        assert (run.info["form"], run.info["stage"], run.info["tier"]) == (form, "score", "replication")
        values[form, words] = tables.scores(run)
        assert run.info["config"]["threshold"] == (0.4 if "--threshold" in words else 0.5)
    scored = [one[~one.index.isin([("macro", "auroc")])] for one in values.values()]
    assert all(one["micro", "f1"] == 1 for one in scored if one["micro", "failure_rate"] == 0)
    assert values["probabilities", ()]["macro", "auroc"] == 1
    assert ("macro", "auroc") not in values["0/1 labels", ()]


def test_columns_may_bear_nihs_names_and_be_some_only(place, trees, capsys) -> None:
    """Mass and Nodule are one finding; five findings have no place in the table's average."""
    found = studies(trees, "nih")
    lesion = np.array([int(s.labels.get("Lung Lesion") == POSITIVE) for s in found])
    frame = pd.DataFrame({"Mass": lesion, "nodule": 0, "PLEURAL_THICKENING": 0, "Infiltration": 1, "Effusion": 1})
    write(place, frame, [s.image.name for s in found], "Image Index")
    assert score(place, dataset="nih") == 0
    assert "2 findings" in capsys.readouterr().out
    run = run_of(place, "04-generalization-mine-nih")
    assert run.info["label_set"] == "Lung Lesion,Pleural Other"
    assert tables.scores(run)["Lung Lesion", "f1"] == float(lesion.any())
    shown = tables.gather(6, "paper", place / "results")
    assert shown.others == ("mine",)
    assert set(shown.side("ours", "mine").index) == {"Lung Lesion", "Pleural Other"}


def test_a_run_stands_in_the_table_as_a_column_and_is_no_stages(place, trees) -> None:
    write(place, recorded(found := studies(trees, "chexpert")), [s.study_id for s in found])
    assert score(place, "--name", "densenet") == 0
    results = place / "results"
    assert tables.gather(5, "paper", results).side("ours", "densenet")["Edema"] in (0.0, 1.0)
    shown = report.table(5, "paper", results).text
    assert "densenet" in shown
    assert "predictions of one" in shown
    assert provenance.left_by(provenance.STAGES["generalization"], results / "paper") == {}


def test_another_split_stands_in_no_table(place, trees) -> None:
    write(place, recorded(found := studies(trees, "chexpert", "validate")), [s.study_id for s in found])
    assert score(place, "--split", "validate") == 0
    assert run_of(place, "04-generalization-mine-chexpert-validate").info["split"] == "validate"
    assert tables.gather(5, "paper", place / "results").others == ()


def test_the_claims_about_a_model_of_the_paper_are_judged(place, trees, capsys) -> None:
    found = studies(trees, "chexpert")
    write(place, recorded(found), [s.study_id for s in found])
    for model in ("densenet", "medgemma"):
        assert score(place, "--name", model) == 0
        told = capsys.readouterr().out
        assert ("No claim of the paper is about a model called densenet" in " ".join(told.split())) == (
            model == "densenet"
        )
        assert ("The claims that it concerns" in told) == (model == "medgemma")


def table_rows(rng: np.random.Generator, names: tuple[str, ...]) -> tuple[labels.Labels, pd.DataFrame, bool]:
    n = int(rng.integers(2, 9))
    states = rng.choice([1.0, 0.0, -1.0], (n, len(names)), p=[0.4, 0.4, 0.2])
    made = tuple(
        data.Study(
            "nih", f"p{k // 2}", f"s{k}", Path(f"s{k}.png"), "", "test", dict(zip(names, row, strict=True)), names
        )
        for k, row in enumerate(states.tolist())
    )
    chances = bool(rng.random() < 0.5)
    cells = rng.random((n, len(names))).round(2) if chances else rng.integers(0, 2, (n, len(names)))
    frame = pd.DataFrame(cells, columns=list(names)).astype(str)
    frame.insert(0, "id", [f"s{k}" for k in range(n)])
    return labels.Labels("nih", "NIH", made, names, {}, True, True), frame.sample(frac=1, random_state=n), chances


def test_a_thousand_random_files_are_scored_as_scikit_learn_scores_them(tmp_path, quick) -> None:
    """To the last digit: micro, macro and each finding, under each policy, and AUROC."""
    rng, path = np.random.default_rng(0), tmp_path / "mine.csv"
    for number in range(1000):
        names = [FINDINGS, NIH_SHARED, *[FINDINGS[2:6], NIH_SHARED[:3]] * 3][number % 8]
        to, frame, chances = table_rows(rng, names)
        frame.to_csv(path, index=False)
        threshold = float(rng.choice([0.5, 0.25])) if chances else 0.5
        said = reading.read(path, to, column=None, threshold=threshold, prompt=prompts.get("only_label"), partial=False,
                            lists=tmp_path)  # fmt: skip
        policy = ("zeros", "ones", "ignore")[number % 3]
        rows = pd.DataFrame(
            [row(study, one, names, policy, real=True) for study, one in zip(said.studies, said.rows, strict=True)]
        )
        found = scoring.summary(rows, comparable.label_set(names), said.chance_BF, resamples=2)
        values = found.set_index(["finding", "metric"])["value"]
        state = np.array([[study.labels[name] for name in names] for study in to.studies])
        counts = state != -1 if policy == "ignore" else np.ones_like(state, dtype=bool)
        true = (state == 1) | ((state == -1) & (policy == "ones"))
        given = frame.set_index("id").loc[[study.study_id for study in to.studies], list(names)].to_numpy(dtype=float)
        assert said.form == ("probabilities" if not np.isin(given, (0, 1)).all() else "0/1 labels")
        assert chances or said.chance_BF is None
        named = (given >= threshold if chances else given == 1) & counts
        for average in ("micro", "macro", None):
            right = precision_recall_fscore_support(true & counts, named, average=average, zero_division=0)
            for metric, value in zip(("precision", "recall", "f1"), right, strict=False):
                ours = values[average, metric] if average else [values[name, metric] for name in names]
                assert np.array_equal(ours, value)
        for place, name in enumerate(names) if said.chance_BF is not None else ():
            kept = counts[:, place]
            if len(set(true[kept, place])) == 2:
                assert values[name, "auroc"] == roc_auc_score(true[kept, place], given[kept, place])
            else:
                assert (name, "auroc") not in values


@pytest.mark.parametrize("run", [run for run in runs.read_all(DEMO) if run.run_id[:2] == "04"], ids=lambda r: r.run_id)
def test_the_committed_runs_are_scored_as_they_were(run) -> None:
    """To the last digit, from their completions."""
    rows = run.predictions()
    read = reading.answers(rows["completion"], prompts.get(run.info["prompt"].split()[0]))
    again = rows.assign(**{column: [one[column] for one in read] for column in ("predicted", "failed", "valid")})
    found = scoring.summary(again, run.info["label_set"], resamples=2)
    then = run.metrics()
    assert found[["finding", "metric", "value"]].head(len(then)).equals(then)


def test_a_committed_run_is_scored_from_its_own_file(drawn_demo, tmp_path, capsys) -> None:
    """As a user would: the file of completions against the drawn hospital's label file."""
    words = ["--profile", "demo", "--results", str(tmp_path), "--cache", str(drawn_demo), "--name", "mine"]
    run_id = "04-generalization-chexreason-nih"
    file = DEMO / run_id / "predictions.csv.gz"
    assert cli.main(["score", str(file), "--dataset", "nih", *words]) == 0
    assert "drawn" not in capsys.readouterr().err
    found = runs.read(tmp_path / "demo" / "04-generalization-mine-nih")
    then = runs.read(DEMO / run_id)
    assert found.metrics()[["finding", "metric", "value"]].head(len(then.metrics())).equals(then.metrics())
    same = ["study_key", "patient_key", "completion", "predicted", "truth", "ignored", "failures", "failed"]
    assert found.predictions()[same].equals(then.predictions()[same])


@pytest.fixture(scope="module")
def drawn_demo(tmp_path_factory) -> Path:
    """A cache with demo's hospital C."""
    cache = tmp_path_factory.mktemp("demo")
    profile = config.load_profile("demo", cache=cache)
    prepare(replace(profile, data={"nih": profile.data["nih"]}), teach=False)
    return cache


def test_intervals_are_by_patient(place, trees) -> None:
    """Studies of one patient repeat each other: as many draws as patients, not as studies."""
    rng = np.random.default_rng(3)
    truth = rng.random((40, 9)) < 0.4
    said = truth ^ (rng.random((40, 9)) < 0.3)

    def rows(times: int, by: str) -> pd.DataFrame:
        cells = {name: [";".join(np.array(NIH_SHARED)[row]) for row in np.repeat(matrix, times, axis=0)]
                 for name, matrix in (("truth", truth), ("predicted", said))}  # fmt: skip
        keys = [f"p{k // times if by == 'patient' else k}" for k in range(40 * times)]
        return pd.DataFrame(cells).assign(ignored="", failed=False, patient_key=keys)

    def width(table: pd.DataFrame) -> float:
        micro = table[(table["finding"] == "micro") & (table["metric"] == "f1")].iloc[0]
        return float(micro["high"] - micro["low"])

    one, repeated, apart = (scoring.summary(rows(*how), "nih9") for how in ((1, "study"), (4, "patient"), (4, "study")))
    assert width(one) == pytest.approx(width(repeated))
    assert width(apart) == pytest.approx(width(one) / 2, rel=0.15)


def test_readers_without_an_image_are_scored_on_the_same_studies() -> None:
    rows = pd.DataFrame({
        "truth": ["Edema;Pneumonia", "Edema", "No Finding", ""], "predicted": ["Edema", "No Finding", "No Finding", ""],
        "ignored": "", "failed": [False, False, False, True], "patient_key": list("abcd"),
    })  # fmt: skip
    values = scoring.summary(rows, "nih9", resamples=2).set_index(["finding", "metric"])["value"]
    assert values["micro", "f1 of every label"] == 2 * 4 / (4 + 36)
    assert values["macro", "f1 of every label"] == pytest.approx((2 / 3 + 2 * 2 / 5) / 9)
    assert values["micro", "f1 of most frequent label"] == 2 * 2 / (4 + 4)
    assert values["macro", "f1 of most frequent label"] == pytest.approx(2 / 3 / 9)
    assert values["micro", "labels named per recorded"] == 3 / 4
    assert values["micro", "abnormal called normal"] == 1 / 3
    assert values["micro", "normal called normal"] == 1
    assert values["micro", "failure_rate"] == 0.25


OWN = {"labels": "labels.csv", "id": "image", "patient": "who", "findings": {"Edema": "oedema", "Fracture": "fracture"}}


@pytest.fixture
def own(place):
    """Writes a data set of one's own and its description."""

    def write_own(cells: str = "yes no maybe", **changes) -> Path:
        yes, no, maybe = cells.split()
        text = f"image,who,oedema,fracture\na.png,1,{yes},{no}\nb.png,1,{maybe},\nc.png,2,{no},{yes}\n"
        (place / "labels.csv").write_text(text)
        states = {"positive": ["yes"], "negative": ["no"], "uncertain": ["maybe"]}
        described = OWN | ({"states": states} if cells == "yes no maybe" else {}) | changes
        (place / "hospital.yml").write_text(yaml.safe_dump(described))
        return place / "hospital.yml"

    return write_own


@pytest.mark.parametrize("cells", ["yes no maybe", "1 0 -1"])
def test_a_data_set_of_ones_own(place, own, cells) -> None:
    write(place, pd.DataFrame({"Edema": [1, 1, 0], "Fracture": [0, 0, 1]}), ["x/c.png", "a.png", "b"], "image")
    described = own(cells)
    for policy, truth in (("zeros", ["Edema", "", "Fracture"]), ("ones", ["Edema", "Edema", "Fracture"])):
        assert score(place, "--uncertain", policy, dataset=str(described)) == 0
        run_id = "04-generalization-mine-hospital"
        run = run_of(place, run_id)
        assert run.info["inputs"] == {}
        assert not (run.folder / "predictions.csv.gz").exists()
        rows = runs.Run(place / "cache" / "rows" / run_id, run.info).predictions()
        assert rows["truth"].tolist() == truth
        assert rows["states"].tolist() == ["Edema=1;Fracture=0", "Edema=-1", "Edema=0;Fracture=1"]
        assert rows["predicted"].tolist() == ["Edema", "Fracture", "Edema"]
    assert "F1 on hospital" in report.other_test_sets("paper", place / "results").text


def damaged(frame: pd.DataFrame, how: str) -> str:
    """The text of a file of predictions with something wrong."""
    lines = frame.to_csv(index=False).splitlines()
    match how:
        case "missing":
            lines.pop()
        case "twice":
            lines.append(lines[1])
        case "unknown":
            lines[1] = "gone" + lines[1]
        case "none":
            lines[1:] = [f"x{line}" for line in lines[1:]]
        case "cell":
            lines[2] = lines[2][:-1] + "1.5"
        case "blank":
            lines[2] = lines[2][:-1]
        case "uncertain":
            lines[2] = lines[2][:-1] + "-1"
        case "short":
            lines[2] = lines[2].rpartition(",")[0]
        case "long":
            lines[2] += ",1"
        case "semicolons":
            lines = [line.replace(",", ";") for line in lines]
        case "no header":
            lines.pop(0)
        case "no rows":
            lines = lines[:1]
        case "no id":
            lines[0] = lines[0].replace("Path", "Who")
        case "no finding":
            lines = [line.partition(",")[0] + ",7" if k else "Path,age" for k, line in enumerate(lines)]
        case "both":
            lines = [f"{line},{'completion' if not k else 'x'}" for k, line in enumerate(lines)]
        case "column twice":
            lines = [f"{line},{'Edema' if not k else '1'}" for k, line in enumerate(lines)]
        case "quote":
            lines[2] = '"' + lines[2]
        case "nothing":
            lines = []
    return "\n".join(lines) + "\n" * bool(lines)


WRONG = {
    "missing": "Expected a row in mine.csv for each of 5 studies, got none for 1 study, listed in ",
    "twice": "Expected one row a study in mine.csv, got 1 study on lines 2 and 7. Keep one row a study.",
    "unknown": "got 1 of others, the first on line 2. Correct them, or say --partial.",
    "none": "got 5 others, the first on line 2. Check the column, with --id, and the split.",
    "cell": "Expected 0, 1 or a probability under 'Support Devices' in mine.csv, line 3, got a cell of",
    "blank": "under 'Support Devices' in mine.csv, line 3, got an empty cell.",
    "uncertain": "Expected 0, 1 or a probability under 'Support Devices' in mine.csv, line 3, got a cell of",
    "short": "Expected 15 fields, as in the header, in mine.csv, line 3, got 14. Quote cells that hold commas.",
    "long": "Expected 15 fields, as in the header, in mine.csv, line 3, got 16.",
    "semicolons": "got columns separated by ';'. Save it with commas.",
    "no header": "got a first line that is no header. Correct it.",
    "no rows": "Expected a header with each column once, and rows, in mine.csv, got no row. Correct it.",
    "no id": "Expected a column of ids such as Path, Image Index or study_id in mine.csv, got Who, No Finding,",
    "no finding": "or a column 'completion', in mine.csv, got neither among Path, age. Name the columns as CheXpert",
    "both": "got both. Keep the one to be scored.",
    "column twice": "and rows, in mine.csv, got Edema twice. Correct it.",
    "quote": "in mine.csv",
    "nothing": "in mine.csv",
}


@pytest.mark.parametrize("how", WRONG)
def test_a_wrong_file_gets_one_line_that_tells_of_no_patient(place, trees, capsys, how) -> None:
    found = studies(trees, "chexpert")
    frame = write(place, recorded(found), [s.study_id for s in found])
    (place / "mine.csv").write_text(damaged(frame, how))
    assert score(place) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert WRONG[how] in told.err
    assert told.err.count("\n") == 1
    assert len(told.err) <= len("chexreason: \n") + 200
    assert not any(part in told.err for study in found for part in (study.patient_id, study.study_id))
    assert not (place / "results" / "paper").exists()
    if how == "missing":
        assert (place / "cache" / "score" / "missing.txt").read_text() == f"{found[-1].study_id}\n"


def test_what_only_one_side_has_is_left_out_if_asked_and_counted(place, trees, capsys) -> None:
    found = studies(trees, "chexpert")
    frame = write(place, recorded(found), [s.study_id for s in found])
    (place / "mine.csv").write_text(damaged(pd.concat([frame, frame[:1].assign(Path="other")]), "unknown"))
    assert score(place, "--partial") == 0
    assert "Left out: 1 studies without a prediction, 2 rows on studies without a label." in capsys.readouterr().out
    assert run_of(place).info["n"] == 4


def test_of_public_data_the_studies_are_named(place, trees, capsys) -> None:
    found = studies(trees, "nih")
    frame = write(place, recorded(found, NIH_SHARED), [s.study_id for s in found])
    for how in ("missing", "twice"):
        (place / "mine.csv").write_text(damaged(frame, how))
        assert score(place, dataset="nih") == 2
        assert found[-1 if how == "missing" else 0].study_id in capsys.readouterr().err


def test_the_row_of_the_image_that_stands_for_a_study_counts(place, trees, capsys) -> None:
    found = studies(trees, "chexpert")
    paths = [IDS["chexpert"]["paths"](study) for study in found]
    others = [path.replace(found[0].image.name, "view7_lateral.jpg") for path in paths[:2]]
    wrong = 1 - recorded(found[:2])
    write(place, pd.concat([wrong, recorded(found)]), [*others, *paths])
    assert score(place) == 0
    assert "Left out: 2 rows on other images of a study." in capsys.readouterr().out
    assert tables.scores(run_of(place))["micro", "f1"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--threshold", "0"], "Expected a threshold above 0, at most 1, got 0. Give another --threshold."),
        (["--threshold", "nan"], "Expected a threshold above 0, at most 1, got nan."),
        (["--prompt", "nosuch"], "a prompt among"),
        (["--name", "../x"], "Expected a name of letters, digits, dashes and points, got '../x'"),
        (["--id", "Nosuch"], "Expected a column 'Nosuch' in mine.csv, got Path, No Finding"),
        (["--dataset", "nosuch"], "Expected a data set among chexpert, mimic, nih, got 'nosuch'"),
        (["--dataset", "no.yml"], "Expected a data set described in "),
        (["--data", "/no/where"], "Expected the folder of CheXpert at /no/where, got nothing at that path."),
        (["--profile", "demo", "--data", "."], "a profile of the tier replication for your own data, got demo"),
        (["--cache", str(config.ROOT / ".cache")], "Expected rows of CheXpert outside the repository"),
        (["--dataset", "nih", "--split", "validate"], "Expected a split of NIH among train, test, got 'validate'"),
    ],
)
def test_wrong_words_get_one_line(place, trees, capsys, words, told) -> None:
    write(place, recorded(found := studies(trees, "chexpert")), [s.study_id for s in found])
    assert score(place, *words) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_is_not_named_and_a_file_that_is_not_there(place, monkeypatch, capsys) -> None:
    assert score(place) == 2
    assert "Expected a file of predictions at " in capsys.readouterr().err
    monkeypatch.delenv("CHEXREASON_CHEXPERT")
    (place / "mine.csv").touch()
    assert score(place) == 2
    assert "got $CHEXREASON_CHEXPERT, which is not set. Give it with --data, or export" in capsys.readouterr().err


def test_drawn_images_do_not_pass_for_a_replication(place, drawn, capsys) -> None:
    write(place, recorded(found := studies(drawn, "chexpert")), [s.study_id for s in found])
    assert score(place, "--data", str(drawn / "chexpert")) == 2
    assert "for the tier replication, got drawn images. Name the profile that draws them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"findings": {"Gout": "oedema"}}, "Expected a finding in data set hospital.yml among"),
        ({"findings": {"Edema": "nosuch"}}, "Expected one column 'nosuch' in "),
        ({"findings": {"Edema": "who"}}, "got 'who' twice"),
        ({"states": {"positive": [True]}}, "Expected a valid entry states.positive.0 in data set hospital.yml"),
        ({"states": {"positive": ["yes"]}}, "Expected one of yes, 0, 0.0, -1, -1.0 or nothing under 'oedema' in "),
        ({"id": "who"}, "Expected an id that occurs once in "),
        ({"more": 1}, "Expected keys with values in data set hospital.yml"),
    ],
)
def test_a_wrong_description_gets_one_line(place, own, capsys, changes, told) -> None:
    write(place, pd.DataFrame({"Edema": [1, 1, 0]}), ["c.png", "a.png", "b.png"], "image")
    assert score(place, dataset=str(own(**changes))) == 2
    assert told in capsys.readouterr().err


def test_a_run_of_the_study_is_never_replaced(place, trees, capsys) -> None:
    write(place, recorded(found := studies(trees, "chexpert")), [s.study_id for s in found])
    assert score(place) == 0
    info = place / "results" / "paper" / "04-generalization-mine-chexpert" / "run.json"
    assert score(place) == 0, "one's own is"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"stage": "generalization"}))
    capsys.readouterr()
    assert score(place) == 2
    assert "a name that no run of the study bears, got 04-generalization-mine-chexpert" in capsys.readouterr().err


def test_a_packed_file_and_a_narrow_terminal(place, trees, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    write(place, recorded(found := studies(trees, "chexpert")), [s.study_id for s in found])
    (place / "mine.csv").write_bytes(gzip.compress((place / "mine.csv").read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(place) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 50
