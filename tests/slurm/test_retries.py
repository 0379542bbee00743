"""`snakemake --profile slurm`: which jobs are submitted again, and what for."""

import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from clusters import assert_nothing_was_repeated, epochs, jobs, snakemake, until

TRAINED = "results/tiny/phase2/sparse/logs/training_record.json"
# Of what Snakemake and its plugin say by themselves at every start.
NOISE = ("guess", "invalid option", "RuntimeWarning", "Traceback")
# A cluster with accounting, as far as Snakemake asks: `sacct` names who has cancelled a job.
SACCT = """#!/bin/sh
case "$*" in
    *JobIdRaw*) squeue --states=all --noheader --format='%i|%T' | sed 's/CANCELLED/CANCELLED by 0/' ;;
esac
"""


@pytest.fixture
def fresh(fresh, checkout) -> Path:
    """Give a checkout of its own, with mixtures of its own."""
    for part in ("reference", "mixtures"):
        shutil.copytree(checkout / "results/tiny" / part, fresh / "results/tiny" / part)
    return fresh


def edit(folder: Path, train: dict[str, object], **settings: object) -> None:
    """Change the profile: resources of the trainings, and settings of Snakemake."""
    path = folder / "slurm/config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["set-threads"]["train"] = 1
    profile["set-resources"]["train"] |= train
    profile |= {name.replace("_", "-"): value for name, value in settings.items()}
    path.write_text(yaml.safe_dump(profile))


def test_wrong_input_is_submitted_once(cluster, fresh):
    mixtures = fresh / "results/tiny/mixtures/phase2_validation_mixtures.h5"
    shutil.copy(mixtures, fresh / "results/tiny/reference/reference.h5")
    mixtures.unlink()
    done = snakemake(cluster, fresh, str(mixtures.relative_to(fresh)), "--rerun-triggers", "mtime")
    output = done.stdout + done.stderr
    assert done.returncode == 1 and len(jobs(output)) == 1
    assert "exit code 2, wrong input or configuration: it is not tried again" in output


def test_a_partition_that_is_not_there(cluster, fresh):
    edit(fresh, {"slurm_partition": "gpus"})
    done = snakemake(cluster, fresh, TRAINED)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and not jobs(output)
    assert output.count("this cluster has no partition gpus; it has cpu, gpu, spot, urgent") == 1
    assert "slurm_partition in slurm/config.yaml" in output
    assert not [word for word in NOISE if word in output]


@pytest.mark.long
def test_cancelled_trainings_go_on_with_the_memory_they_had_and_lose_no_retry(cluster, fresh, tmp_path):
    """As many times as one likes, as each has done some steps; also where ``sacct`` is asked for states."""
    edit(fresh, {}, retries=1, slurm_status_command="sacct")
    tiny = fresh / "config/tiny.yaml"
    settings = "model.backbone: mlp\n  training.early_stopping_patience: 1000\n  training.epochs: 120"
    tiny.write_text(tiny.read_text().replace("training.epochs: 6", settings))
    (tools := tmp_path / "tools").mkdir()
    (tools / "sacct").write_text(SACCT)
    (tools / "sacct").chmod(0o755)
    path = f"{tools}:{cluster.environment['PATH']}"
    run = (fresh / TRAINED).parents[1]
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(snakemake, cluster, fresh, TRAINED, PATH=path)
        for _ in range(2):
            before = epochs(run)
            until(lambda before=before: epochs(run) >= before + 3, "three epochs more")
            mine = cluster.run("squeue", "--noheader", "--states=RUNNING", "--format=%i %k").splitlines()
            (job,) = [line.split()[0] for line in mine if "rule_train_wildcards_tiny_phase2_sparse" in line]
            cluster.run("scancel", job)
            cluster.wait(job, "CANCELLED")
            time.sleep(1)
        done = running.result()
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    submitted = [cluster.told(job) for job in jobs(output)]
    assert len(submitted) == 3 and {job["MinMemoryNode"] for job in submitted} == {"8000M"}
    assert output.count("which does not count as a retry") == 2
    assert_nothing_was_repeated(run)
    assert len(re.findall("resuming from", (run / "logs/training.txt").read_text())) == 2


@pytest.mark.long
def test_a_limit_shorter_than_the_start_is_named(cluster, fresh):
    edit(fresh, {"runtime": 1}, retries=1)
    # Before it has done a step.
    environment = fresh / "slurm/environment.sh"
    environment.write_text(environment.read_text() + "\nsleep 120\n")
    done = snakemake(cluster, fresh, TRAINED)
    output = done.stdout + done.stderr
    assert done.returncode == 1 and len(jobs(output)) == 2
    assert "each time at the time limit: raise runtime of this rule in slurm/config.yaml" in output
