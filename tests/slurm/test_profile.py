"""`snakemake --profile slurm`: every rule a job, and what users see when a job fails."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from clusters import assert_nothing_was_repeated, jobs, snakemake, under_way


def in_profile(folder: Path, **train: object) -> None:
    """Change what the profile says of the trainings."""
    path = folder / "slurm/config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["set-resources"]["train"].update(train)
    # Here trainings share two cores with all else: threads that wait for each other would wait long.
    profile["set-threads"]["train"] = 1
    path.write_text(yaml.safe_dump(profile))


def test_a_failing_rule_names_its_log_and_the_rest_goes_on(cluster, fresh):
    target = ("results/tiny/reference/reference_report.html", "results/tiny/mixtures/phase2_test_mixtures.h5")
    broken = fresh / "workflow/rules/mixtures.smk"
    broken.write_text(broken.read_text().replace("--split {wildcards.split:q}", "--split nonsense"))
    done = snakemake(cluster, fresh, *target, "--retries", "0")
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "logs/tiny/mixtures_phase2_test.log" in output
    assert "invalid choice: 'nonsense'" in output  # its content is shown
    assert (fresh / target[0]).is_file()


def test_a_job_without_enough_memory_is_tried_again_with_more(cluster, fresh, checkout):
    (fresh / "results").symlink_to(checkout / "results")  # also: results on another file system
    in_profile(fresh, mem_mb="120 if attempt == 1 else 4000")
    done = snakemake(cluster, fresh, "results/tiny/phase2/original/logs/training_record.json")
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    memory = [cluster.told(job)["MinMemoryNode"] for job, path in jobs(output).items() if "rule_train/" in path]
    assert memory == ["120M", "4000M"]


def test_a_gpu_that_torch_does_not_find_is_told(cluster, fresh, checkout):
    (fresh / "results").symlink_to(checkout / "results")
    target = "results/tiny/phase2/sparse/logs/training_record.json"
    done = snakemake(cluster, fresh, target, "--retries", "0", METHMIX_ALLOW_CPU="0")
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "SLURM has given this job GPU" in output and "METHMIX_ALLOW_CPU=1" in output


@pytest.mark.long
def test_two_gpus_are_one_number_in_the_profile(cluster, fresh, checkout):
    (fresh / "results").symlink_to(checkout / "results")
    target = "results/tiny/phase2/sparse/logs/training_record.json"
    in_profile(fresh, gpu=2)
    done = snakemake(cluster, fresh, target)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert json.loads((fresh / target).read_text())["record"]["n_ranks"] == 2
    log = (fresh / "logs/tiny/train_phase2_sparse.log").read_text()
    assert log.count("epoch 6 of 6") == 1


def test_a_preempted_job_is_submitted_again_and_goes_on(cluster, fresh, checkout):
    (fresh / "results/tiny").mkdir(parents=True)
    for part in ("reference", "mixtures"):
        (fresh / "results/tiny" / part).symlink_to(checkout / "results/tiny" / part)
    target = "results/tiny/phase2/sparse/logs/training_record.json"
    in_profile(fresh, slurm_partition="spot")
    tiny = fresh / "config/tiny.yaml"
    # Long enough to be preempted.
    settings = "model.backbone: mlp\n  training.early_stopping_patience: 1000\n  training.epochs: 240"
    tiny.write_text(tiny.read_text().replace("training.epochs: 6", settings))
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(snakemake, cluster, fresh, target)
        under_way(fresh / "results/tiny/phase2/sparse")
        preempting = ("--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1", "--output=/dev/null")
        cluster.wait(cluster.sbatch(fresh, *preempting), "COMPLETED")
        done = running.result()
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert json.loads((fresh / target).read_text())["finished"]
    assert_nothing_was_repeated(fresh / "results/tiny/phase2/sparse")
