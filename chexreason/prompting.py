"""Asking the untouched model in nine ways (paper, section 4.1; Table 1)."""

from chexreason import cohorts, evaluate, models, prompts, runs
from chexreason.config import Profile
from chexreason.engines import engine
from chexreason.models import Loaded


def ask_all(profile: Profile) -> list[runs.Run]:
    """Table 1: each of the nine prompts on the untouched MedGemma, on the validation studies."""
    chosen = cohorts.choose(profile, "validation")
    loaded: Loaded | None = None
    finished = []
    for k, name in enumerate(prompts.TABLE1_PROMPTS, start=1):
        prompt = prompts.get(name)
        this = evaluate.plan(profile, f"01-prompting-{name}", "prompting", "medgemma", "medgemma", prompt, chosen)
        run = this.finished()
        if run is None:
            loaded = loaded or models.load("medgemma", profile.models["medgemma"])
            label = f"prompt {k} of {len(prompts.TABLE1_PROMPTS)}, {name}"
            scores, rows = evaluate.evaluate(
                loaded,
                chosen,
                prompt,
                profile.decoding,
                label=label,
                engine=engine(profile, "decode", evaluate.generate),
            )
            run = evaluate.finish(this, chosen, scores.to_frame(), rows)
        finished.append(run)
    return finished
