"""A table of an array, as atlases are published, is a reference by configuration alone, and predicts arrays."""

import sys

import numpy as np
import pandas as pd
import pytest
from experiments import TINY, trained

from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.prediction.__main__ import main
from methmix.reference.build import build_reference

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long]

N_PROBES, N_TYPES = 500, 25
TYPES = ["Blood", *(f"Type_{number}" for number in range(1, N_TYPES))]


def test_an_atlas_of_an_array_predicts_arrays(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    # Each probe is the marker of one type, unmethylated there or methylated.
    level = np.where(np.arange(N_TYPES) == np.arange(N_PROBES)[:, None] % N_TYPES, 0.08, 0.85)
    level[::2] = 1 - level[::2]
    means = (level + rng.normal(0, 0.03, level.shape)).clip(0, 1).round(4)
    probes = [f"cg{10_000_000 + 37 * number:08d}" for number in range(N_PROBES)]
    atlas = tmp_path / "atlas.csv"
    pd.DataFrame(means, pd.Index(probes, name="CpGs"), TYPES).to_csv(atlas)

    source = {"source": "array_atlas", "file": str(atlas), "donors_per_tissue": 5, "pseudo_depth": 50}
    experiment = load_experiment(TINY).model_dump(mode="json") | {"reference": source}
    reference = build_reference(Experiment.model_validate(experiment))
    checkpoint = trained(reference, tmp_path)

    true = np.zeros((2, N_TYPES))
    true[0, [0, 5]], true[1, [0, 7, 9]] = [0.7, 0.3], [0.6, 0.2, 0.2]
    values = (means @ true.T + rng.normal(0, 0.02, (N_PROBES, 2))).clip(0, 1)
    # EPICv2: strand and replicate in the name, some probes twice, and probes that the atlas has not.
    sample = pd.DataFrame(values, [f"{name}_TC11" for name in probes], ["a", "b"])
    again = sample.iloc[:40].set_axis([f"{name}_TC12" for name in probes[:40]])
    others = pd.DataFrame(rng.random((99, 2)), [f"cg{90_000_000 + number}_BC21" for number in range(99)], ["a", "b"])
    table = pd.concat([sample, again, others]).rename_axis("IlmnID")
    table.to_csv(tmp_path / "epicv2.tsv", sep="\t")

    def predicted(checkpoint, *options):
        output = tmp_path / "predictions.csv"
        words = ["methmix.prediction", "--checkpoint", checkpoint, "--output", output, *options]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        assert main() == 0
        assert (pd.read_csv(output)["regions_observed"] == N_PROBES).all()
        return pd.read_csv(output).pivot_table("proportion", "sample", "tissue")[TYPES].to_numpy()

    assert np.abs(predicted(checkpoint, "--samples", tmp_path / "epicv2.tsv") - true).max() < 0.05

    # With its manifest, the atlas has the CpGs in the genome for regions: arrays and sequenced samples are both read.
    place = 1_000_000 + 3_000 * np.arange(N_PROBES)
    columns = {"IlmnID": table.index[:N_PROBES], "Genome_Build": "GRCh38", "CHR": "chr1", "MAPINFO": place + 1}
    (tmp_path / "manifest.csv").write_text("[Assay],,,\n" + pd.DataFrame(columns).to_csv(index=False))
    source |= {"manifest": str(tmp_path / "manifest.csv"), "genome": "hg38"}
    reference = build_reference(Experiment.model_validate(experiment | {"reference": source}))
    (tmp_path / "sequenced").mkdir()
    checkpoint = trained(reference, tmp_path / "sequenced")
    options = ("--samples", tmp_path / "epicv2.tsv", "--manifest", tmp_path / "manifest.csv")
    assert np.abs(predicted(checkpoint, *options) - true).max() < 0.05

    methylated = rng.binomial(60, means @ true[0])
    report = {"chrom": "chr1", "position": place + 1, "strand": "+", "methylated": methylated, "not": 60 - methylated}
    report |= {"context": "CG", "trinucleotide": "CGA"}
    pd.DataFrame(report).to_csv(tmp_path / "plasma.CpG_report.txt", sep="\t", header=False, index=False)
    found = predicted(checkpoint, "--samples", tmp_path / "plasma.CpG_report.txt", "--genome", "hg38")
    assert np.abs(found - true[:1]).max() < 0.05
