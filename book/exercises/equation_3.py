# %% [markdown]
# # Write equation 3
# Write `hard(completion, recorded)`, the paper's hard reward: the Jaccard similarity of the labels that the completion
# names and of those that are recorded (how many both have, of all that either has), less `0.1` if the completion is
# shorter than `250` characters. A completion whose blocks are not valid earns 0, and nothing is taken off.
#
# The package's own parser is here: `parse_completion(text, THINK_SOLUTION)` has `.labels`, a tuple, and `.valid`.

# %% starter
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    return 0


said = "<think>Edema, no effusion.</think><solution>Edema</solution>"
print(hard(said, {"Edema"}))

# %% check: a right answer at length earns 1
# Both sets are the same: as many labels in both as in either.
assert hard("<think>" + 250 * "." + "</think><solution>Edema, Fracture</solution>", {"Fracture", "Edema"}) == 1

# %% check: half right is a half
# One label in both, of two in either.
assert hard("<think>" + 250 * "." + "</think><solution>Edema</solution>", {"Edema", "Fracture"}) == 0.5

# %% check: a false alarm costs
# What the completion names and nobody recorded makes the union larger, and not the intersection.
assert hard("<think>" + 250 * "." + "</think><solution>Edema, Fracture</solution>", {"Edema"}) == 0.5

# %% check: a short answer pays the penalty
# Less 0.1 if the whole completion, its tags included, has fewer than 250 characters.
assert abs(hard("<think>.</think><solution>Edema</solution>", {"Edema"}) - 0.9) < 1e-12

# %% check: 250 characters are not short
# Short is fewer than 250.
said = "<think></think><solution>Edema</solution>"
assert hard("<think>" + "." * (250 - len(said)) + said[7:], {"Edema"}) == 1

# %% check: what is malformed earns nothing, and pays nothing
# Look at `.valid` before anything else: a short malformed completion earns 0, and not -0.1.
assert hard("<think>Edema<solution>Edema</solution>", {"Edema"}) == 0

# %% check: as the package pays
# One of these answers is paid otherwise than the package pays it.
from chexreason.completions import THINK_SOLUTION, parse_completion
from chexreason.rewards import Hard

for thought in ("", 300 * "word "):
    for listed in ("Edema", "Edema, Edema", "edema; Fracture", "gout", "", "No Finding"):
        text = f"<think>{thought}</think><solution>{listed}</solution>"
        paid = sum(Hard()(parse_completion(text, THINK_SOLUTION), frozenset({"Edema", "Fracture"}), text).values())
        assert abs(hard(text, {"Edema", "Fracture"}) - paid) < 1e-12, f"{listed!r} earns {paid:.3f}"

# %% solution
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    if not answer.valid:
        return 0
    named, wanted = set(answer.labels), set(recorded)
    return len(named & wanted) / len(named | wanted) - (0.1 if len(completion) < 250 else 0)

# %% wrong: half right is a half
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    if not answer.valid:
        return 0
    return len(set(answer.labels) & recorded) / max(1, len(answer.labels)) - (0.1 if len(completion) < 250 else 0)

# %% wrong: a false alarm costs
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    if not answer.valid:
        return 0
    return len(set(answer.labels) & recorded) / len(recorded) - (0.1 if len(completion) < 250 else 0)

# %% wrong: a short answer pays the penalty
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    named = set(answer.labels)
    return len(named & recorded) / len(named | recorded) if answer.valid else 0

# %% wrong: 250 characters are not short
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    if not answer.valid:
        return 0
    named = set(answer.labels)
    return len(named & recorded) / len(named | recorded) - (0.1 if len(completion) <= 250 else 0)

# %% wrong: what is malformed earns nothing, and pays nothing
from chexreason.completions import THINK_SOLUTION, parse_completion


def hard(completion, recorded):
    answer = parse_completion(completion, THINK_SOLUTION)
    named = set(answer.labels) if answer.valid else set()
    return len(named & recorded) / len(named | recorded) - (0.1 if len(completion) < 250 else 0)

# %% wrong: as the package pays
def hard(completion, recorded):
    if "</think>" not in completion:
        return 0
    named = {one.strip() for one in completion.split("<solution>")[1].split("</solution>")[0].split(",")}
    return len(named & recorded) / len(named | recorded) - (0.1 if len(completion) < 250 else 0)
