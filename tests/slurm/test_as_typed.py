"""`snakemake --profile slurm` as typed: the default experiment on a fresh small cluster, nothing adapted."""

import os
import subprocess
import sys
import time

import pytest
from clusters import jobs

MINUTES = 30
pytestmark = [
    pytest.mark.timeout(60 * (MINUTES + 10)),
    pytest.mark.skipif(
        not os.environ.get("METHMIX_AS_TYPED"), reason="takes half an hour and two cores: METHMIX_AS_TYPED=1"
    ),
]


@pytest.mark.parametrize("small_cluster", [2], indirect=True)
def test_the_default_experiment_on_two_cores_without_a_gpu(small_cluster, fresh):
    environment = {name: text for name, text in small_cluster.environment.items() if name != "METHMIX_ALLOW_CPU"}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm"],
        cwd=fresh, env=environment, capture_output=True, text=True, timeout=60 * (MINUTES + 5),
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    minutes = (time.monotonic() - started) / 60
    sys.stdout.write(f"\n{len(jobs(output))} jobs in {minutes:.1f} minutes")
    assert (fresh / "results/default/phase2/comparison/report.html").is_file()
    assert "this cluster has no GPU: train, train_variant run on CPUs" in output
    assert minutes < MINUTES
