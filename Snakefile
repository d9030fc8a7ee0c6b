# What depends on what: the four stages of the paper, and the book made from their results.
#
#   laptop   snakemake --cores 2 --resources gpu=1 --config profile=demo        (`chexreason book` does this)
#   one GPU  snakemake --cores 16 --resources gpu=1 --config profile=paper
#   Slurm    snakemake --executor slurm --jobs 4 --config profile=paper
#
# A stage's output is a note that it ran to its end on this machine, withdrawn here when it no longer holds
# (companion/workflow/stages.py says when). What is under results/ and every checkpoint stays undeclared:
# Snakemake deletes a declared output before a job starts and when it fails.
import os
import shlex
import sys

from chexreason.errors import UserError
from companion.workflow.commands import refused

try:
    from chexreason.config import ROOT, load_profile  # it reads CHEXREASON_PROFILES
    from companion.experiment import arms, worlds
    from companion.workflow import stages

    PROFILE = load_profile(config.get("profile", "demo"))
    if PROFILE.source != PROFILE.name:
        do = "give it to `chexreason run all --profile`, or keep it in CHEXREASON_PROFILES"
        raise UserError("a profile of the package", PROFILE.source, do)
    if set("{}") & set(os.path.relpath(PROFILE.cache)):  # Snakemake would take what is between them for a wildcard
        raise UserError("a cache folder without braces in its path", "one with", "choose another CHEXREASON_CACHE")
    stages.refresh(PROFILE, ROOT)
except (UserError, OSError) as error:
    print(f"chexreason: {refused(error) or error}", file=sys.stderr)
    sys.exit(2)

#: A shell reads it, and the path may hold a blank. Snakemake itself reads the braces of `params.command` only.
CHEXREASON = f"{shlex.quote(sys.executable)} -m companion"
#: Two arms train side by side on a laptop; a single GPU takes one at a time.
GPU = os.path.exists("/dev/nvidia0")
BOOK = os.path.relpath(stages.book_file(ROOT))


def done(stage):
    return os.path.relpath(stages.done_file(stage, PROFILE))


rule all:
    input:
        [done(stage) for stage in PROFILE.stages],
        BOOK,
    localrule: True
    default_target: True


rule results:
    input:
        [done(stage) for stage in PROFILE.stages],
    localrule: True


for stage, about in ((stage, stages.STAGES[stage]) for stage in PROFILE.stages):

    rule:
        name: stage
        input:
            [done(earlier) for earlier in about.after if earlier in PROFILE.stages],
        output:
            done(stage),
        params:
            command=f"{CHEXREASON} run {stage} --profile {shlex.quote(PROFILE.source)}",
        # Training uses every core, so two stages never run side by side on one machine.
        threads: 2
        resources:
            gpu=1,
        # In the paper's order, where the arrows leave a choice.
        priority: 9 - int(about.number)
        shell:
            "{params.command}"


rule experiments:
    input:
        [f".cache/experiment/done/{arm}-{seed}" for arm in arms.ARMS for seed in arms.seeds_of(arm)],
    params:
        command=f"{CHEXREASON} experiment record",
    localrule: True
    shell:
        "{params.command}"


for arm in arms.ARMS:

    rule:
        name: f"arm_{arm.replace('-', '_')}"
        input:
            # An arm waits for the one it starts from, and all wait for the untrained model, which draws the images.
            [f".cache/experiment/done/{start}-{{seed}}" for start in arms.needs(arm)[-1:]],
            [".cache/experiment/done/base-0" for _ in [arm] if arm != "base"],
        output:
            touch(f".cache/experiment/done/{arm}-{{seed}}"),
        params:
            command=f"OMP_NUM_THREADS=1 {CHEXREASON} experiment {arm}",
        threads: 1
        resources:
            gpu=1 if GPU else 0,
        # Should the time not suffice, the questions are answered in this order.
        priority: -list(worlds.ASKED).index(arms.ARMS[arm].question)
        shell:
            "{params.command} --seed {wildcards.seed}"


rule book:
    input:
        [done(stage) for stage in PROFILE.stages],
    output:
        BOOK,  # withdrawn, like a stage's, when it was built from other files
    params:
        command=f"{CHEXREASON} html --locked --profile {PROFILE.name}",
    localrule: True
    shell:
        "{params.command}"
