"""Asking the untouched model in nine ways (paper, section 4.1; Table 1)."""

from chexreason import cohorts, evaluate, models, prompts, runs
from chexreason.config import Profile
from chexreason.engines import engine
from chexreason.models import Loaded


def ask_all(profile: Profile) -> list[runs.Run]:
    """Table 1: each prompt of the study on its untouched base model, on the validation studies."""
    base, names = profile.study["prompting"]["model"], profile.study["prompting"]["prompts"]
    chosen = cohorts.choose(profile, "validation")
    loaded: Loaded | None = None
    finished = []
    for k, prompt in enumerate(map(prompts.get, names), start=1):
        this = evaluate.plan(profile, f"01-prompting-{prompt.name}", "prompting", base, base, prompt, chosen)
        run = this.finished()
        if run is None:
            loaded = loaded or models.load(base, profile.models[base])
            scores, rows = evaluate.evaluate(
                loaded, chosen, prompt, profile.decoding, label=f"prompt {k} of {len(names)}, {prompt.name}",
                engine=engine(profile, "decode", evaluate.generate),
            )  # fmt: skip
            run = evaluate.finish(this, chosen, scores.to_frame(), rows)
        finished.append(run)
    return finished
