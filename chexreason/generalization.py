"""Five models on the test sets of two hospitals (paper, section 4.4; Tables 5 and 6)."""

from collections.abc import Iterable

from chexreason import cohorts, evaluate, models, prompts, runs
from chexreason.cohorts import Chosen
from chexreason.config import Profile
from chexreason.engines import engine
from chexreason.files import file_digest
from chexreason.models import Loaded
from chexreason.models.lora import with_adapter


def ask_all(profile: Profile) -> list[runs.Run]:
    """Tables 5 and 6: each model of the study on each of its test sets."""
    study = profile.study["generalization"]
    chosen = {name: cohorts.choose(profile, name) for name in study["test_sets"]}
    return [
        run
        for k, model in enumerate(study["models"], start=1)
        for run in _ask(profile, model, chosen.values(), f"model {k} of {len(study['models'])}, {model}")
    ]


def _ask(profile: Profile, model: str, sets: Iterable[Chosen], label: str) -> list[runs.Run]:
    about = profile.study["generalization"]["models"][model]
    base, prompt, trained = about["base"], prompts.get(about["prompt"]), about.get("adapter")
    adapter = profile.cache / "checkpoints" / trained / "best" if trained else None
    inputs = {"adapter": file_digest(runs.need(adapter))} if adapter else {}
    loaded: Loaded | None = None
    finished = []
    for chosen in sets:
        run_id = f"04-generalization-{model}-{chosen.dataset}"
        this = evaluate.plan(profile, run_id, "generalization", model, base, prompt, chosen, inputs=inputs)
        run = this.finished()
        if run is None:
            if loaded is None:
                loaded = models.load(base, profile.models[base])
                loaded = with_adapter(loaded, adapter) if adapter else loaded
            scores, rows = evaluate.evaluate(
                loaded,
                chosen,
                prompt,
                profile.decoding,
                label=f"{label} on {chosen.dataset}",
                engine=engine(profile, "decode", evaluate.generate),
            )
            run = evaluate.finish(this, chosen, scores.to_frame(), rows)
        finished.append(run)
    return finished
