"""The steps that ``methmix.status`` shows are those that Snakemake plans."""

import re

import pytest
import yaml

from methmix.config.load import load_experiment
from methmix.status.planned_steps import planned_steps
from methmix.workflow import fold_runs, seed_runs

TARGETS = (
    "phase1", "phase2", "phase3", "donors_phase1", "donors_phase2", "donors_phase3", "detection_limit", "robustness",
    "folds_phase2",
)  # fmt: skip
ASKED = re.compile(r"(local)?rule (\w+):$")


def planned_by_snakemake(text: str) -> dict[str, dict[str, str]]:
    """Read the jobs of a dry run, by their log: rule, and the fields that Snakemake prints of each."""
    jobs: dict[str, dict[str, str]] = {}
    own: dict[str, str] = {}
    for line in text.splitlines():
        if asked := ASKED.match(line):
            own = {"rule": asked[2]}
        elif of_job := re.match(r"    (\w+): (.*)", line):
            own[of_job[1]] = of_job[2]
            if of_job[1] == "log":
                jobs[of_job[2]] = own
    return jobs


@pytest.fixture(scope="module")
def plan(tmp_path_factory, checkout_in, snakemake):
    checkout = checkout_in(tmp_path_factory.mktemp("plan"))
    done = snakemake(checkout, "-n", *TARGETS, "--configfile", "config/tiny.yaml")
    assert done.returncode == 0, done.stderr
    return checkout, planned_by_snakemake(done.stdout + done.stderr)


def of_run(name: str, jobs: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {log: job for log, job in jobs.items() if log.startswith(f"logs/{name}/")}


def check(steps, jobs) -> None:
    assert {str(step.log) for step in steps} == jobs.keys()
    for step in steps:
        job = jobs[str(step.log)]
        assert step.rule == job["rule"]
        assert {*map(str, step.files)} <= {*job["output"].split(", ")}
        assert {*map(str, step.needs)} <= {*job.get("input", "").split(", ")}
        wildcards = [value.partition("=")[2] for value in job["wildcards"].split(", ")]
        assert step.job == "_".join(("rule", step.rule, "wildcards", *wildcards))


def test_the_steps_of_an_experiment(plan):
    checkout, jobs = plan
    experiment = load_experiment(checkout / "results/tiny/config.yaml")
    # No samples are listed in the shipped sheet, so that Snakemake refuses to predict.
    steps = [step for step in planned_steps(experiment, checkout) if step.target != "predict"]
    not_compared = [log for log in of_run("tiny", jobs) if "least_squares" in log]
    assert {step.target for step in steps} == {"", *TARGETS}
    check(steps, {log: job for log, job in of_run("tiny", jobs).items() if log not in not_compared})


def test_the_steps_of_its_repetitions(plan):
    checkout, jobs = plan
    content = yaml.safe_load((checkout / "results/tiny/config.yaml").read_text())
    for name in [*seed_runs(content, [2]), *fold_runs(content, [1])][1::2]:
        steps = planned_steps(load_experiment(checkout / f"results/{name}/config.yaml"), checkout)
        wanted = of_run(name, jobs)
        phases = {job["wildcards"].split("phase=")[1][:6] for job in wanted.values() if "phase=" in job["wildcards"]}
        check([step for step in steps if step.phase in ("", *phases)], wanted)
