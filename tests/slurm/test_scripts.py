"""`sbatch slurm/<script>`: a job without Snakemake in the loop, and a message for every way to get it wrong."""

import shutil
from pathlib import Path

import pytest
from clusters import SHORT, assert_nothing_was_repeated, record, until

MODELS = ("original", "sparse")


@pytest.fixture
def fresh(fresh, checkout) -> Path:
    """Give a checkout of its own, on the mixtures of the others."""
    (fresh / "results/tiny").mkdir(parents=True)
    for part in ("reference", "mixtures"):
        (fresh / "results/tiny" / part).symlink_to(checkout / "results/tiny" / part)
    return fresh


@pytest.mark.parametrize("arm", MODELS)
def test_training_as_typed(cluster, fresh, arm):
    options = [option for option in SHORT if arm == "sparse" or "backbone" not in option]
    job = cluster.sbatch(fresh, f"slurm/train_{arm}.sh", *options)
    told = cluster.wait(job, "COMPLETED")
    assert told["JobName"] == f"methmix-phase2-{arm}" and told["ExitCode"] == "0:0" and told["Partition"] == "gpu"
    run = fresh / "results/tiny/phase2" / arm
    job_record = record(run)["slurm"]
    assert job_record["id"] == job and job_record["name"] == told["JobName"] and job_record["gpus"] == 1
    assert (run / "logs/training_log.csv").is_file() and not (run / "training.lock").exists()
    log = (fresh / f"logs/methmix-phase2-{arm}-{job}.log").read_text()
    assert f"SLURM job {job}" in log and "finished after" in log
    assert not list(fresh.glob("*.out"))


@pytest.mark.parametrize("script", ["train_original.sh", "train_sparse.sh", "pipeline.sh"])
def test_from_another_folder(cluster, checkout, tmp_path, script):
    job = cluster.sbatch(tmp_path, str(checkout / "slurm" / script))
    assert cluster.wait(job, "FAILED")["ExitCode"] == "2:0"
    (log,) = tmp_path.glob(f"*-{job}.out")
    assert f"this is not the repository root; cd there and type: sbatch slurm/{script}" in log.read_text()


def failed(cluster, folder: Path, *options: str, **environment: str) -> str:
    """Submit the sparse training, which must fail for wrong input; give its log."""
    job = cluster.sbatch(folder, *options, "slurm/train_sparse.sh", "--experiment=config/tiny.yaml", **environment)
    assert cluster.wait(job, "FAILED")["ExitCode"] == "2:0"
    return (folder / f"logs/methmix-phase2-sparse-{job}.log").read_text()


def test_without_an_environment(cluster, fresh):
    system = Path(shutil.which("env")).parent  # a PATH without ours
    log = failed(cluster, fresh, PATH=f"{system}:/bin", PYTHONPATH="")
    assert "cannot run methmix: type make environment" in log


def test_without_mixtures(cluster, fresh):
    (fresh / "results/tiny/mixtures").unlink()
    log = failed(cluster, fresh)
    assert "phase2_validation_mixtures.h5" in log and "python -m methmix.mixtures" in log


def test_without_a_gpu(cluster, fresh):
    log = failed(cluster, fresh, "--gres=none", METHMIX_ALLOW_CPU="0")
    assert "no GPU is visible here" in log


def test_processes_are_not_for_batch_scripts(cluster, fresh):
    job = cluster.sbatch(fresh, "slurm/train_sparse.sh", "--processes=2")
    assert cluster.wait(job, "FAILED")["ExitCode"] == "2:0"
    assert "sbatch --nodes=2" in (fresh / f"logs/methmix-phase2-sparse-{job}.log").read_text()


def test_with_a_gpu_that_torch_does_not_find(cluster, fresh):
    assert "SLURM has given this job GPU" in failed(cluster, fresh, METHMIX_ALLOW_CPU="0")


def test_snakemake_itself_as_a_job(cluster, fresh):
    target = "results/tiny/phase2/sparse/logs/training_record.json"
    job = cluster.sbatch(fresh, "slurm/pipeline.sh", target, "--configfile", "config/tiny.yaml")
    cluster.wait(job, "COMPLETED")
    assert (fresh / target).is_file()
    assert "1 of 1 steps" in (fresh / f"logs/methmix-pipeline-{job}.log").read_text()


def test_cancelled_pipeline_cancels_its_jobs_and_goes_on(cluster, fresh):
    tiny = fresh / "config/tiny.yaml"
    tiny.write_text(tiny.read_text().replace("training.epochs: 6", "training.epochs: 20000"))
    target = "results/tiny/phase2/sparse/logs/training_record.json"
    command = ("slurm/pipeline.sh", target, "--configfile", "config/tiny.yaml")
    head = cluster.sbatch(fresh, *command)
    log = fresh / "results/tiny/phase2/sparse/logs/training_log.csv"
    until(lambda: log.is_file() and len(log.read_text().splitlines()) > 3, "training under way")
    mine = ("squeue", "--noheader", "--format=%i %j")
    assert f"methmix-{head}_" in cluster.run(*mine)
    cluster.run("scancel", head)
    until(lambda: f"methmix-{head}_" not in cluster.run(*mine), "the job is cancelled too")
    cluster.wait(head, "CANCELLED")
    again = cluster.sbatch(fresh, *command)
    told = fresh / "results/tiny/phase2/sparse/logs/training.txt"
    log = fresh / f"logs/methmix-pipeline-{again}.log"
    until(lambda: "resuming from" in told.read_text(), "resuming", lambda: told.read_text() + log.read_text())
    assert_nothing_was_repeated(fresh / "results/tiny/phase2/sparse")
    cluster.run("scancel", again)
    until(lambda: f"methmix-{again}_" not in cluster.run(*mine), "the job is cancelled too")
