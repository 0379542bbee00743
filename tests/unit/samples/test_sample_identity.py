"""Samples that cannot be of the model: refused one by one, and all with an error."""

import numpy as np
import pandas as pd
import pytest

from methmix.formats.samples import SampleBlock
from methmix.samples.sample_identity import Identity
from methmix.training.checkpoint import load_model


@pytest.fixture(scope="session")
def model(checkpoint):
    return load_model(checkpoint)


def test_only_what_is_certainly_no_sample_is_refused(model, plasma, rng):
    identity = Identity.of(*model)
    methylation, depth = (values[:3].numpy().astype(np.float32) for values in (plasma.methylation, plasma.depth))
    methylation[1] = 1 - methylation[1]
    methylation[2] = rng.permutation(methylation[2])
    depth[2] = np.where(np.isnan(methylation[2]), 0, 30)
    found = identity.unlike(SampleBlock(["right", "inverse", "other"], methylation, depth))
    assert found[0] is None and found[1] < -0.3 and abs(found[2]) < 0.3
    # Of the inverse with reads in a few regions, nothing is known.
    depth[1, 10:], methylation[1, 10:] = 0, np.nan
    assert identity.unlike(SampleBlock(["few"], methylation[1:2], depth[1:2])) == [None]


def test_a_model_without_profiles_has_the_mean_profile_of_its_checkpoint(model):
    network, state = model
    identity = Identity.of(network, state)
    recorded = state.regions["mean_methylation"].numpy()
    assert np.corrcoef(recorded, identity.mean)[0, 1] > 0.95
    assert 0 < state.regions["least_correlation"] <= 0.3
    assert state.modification == "5mC+5hmC"


def test_the_command_refuses_a_wrong_sample_beside_right_ones(command, counts, tmp_path):
    table = pd.read_csv(counts, sep="\t")
    name = next(column for column in table if column.endswith("_METH")).removesuffix("_METH")
    table[f"{name}_METH"] = table[f"{name}_DEPTH"] - table[f"{name}_METH"]
    table.to_csv(tmp_path / "one.tsv", sep="\t", index=False)
    code, _, output = command("--samples", str(tmp_path / "on[e].tsv"), "--threads", 1)
    assert code == 0
    found = pd.read_csv(output).set_index("sample")
    wide = pd.read_csv(output.with_name("predictions_wide.csv")).set_index("sample")
    assert found.loc[name, "proportion"].isna().all() and "another genome build" in found.loc[name, "flags"].iloc[0]
    others = wide.drop(name)
    assert (
        wide.loc[name, "flags"] == found.loc[name, "flags"].iloc[0]
        and not others["flags"].astype(str).str.contains("genome").any()
    )
    tissues = found.loc[others.index[0], "tissue"].tolist()
    np.testing.assert_allclose(others[tissues].sum(axis=1), 1)
    assert others.loc[others.index[0], tissues].tolist() == found.loc[others.index[0], "proportion"].tolist()
    table[["CHROM", "START", "END", f"{name}_METH", f"{name}_DEPTH"]].to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    code, error, _ = command("--samples", tmp_path / "s.tsv", output=tmp_path / "none.csv")
    assert code == 2 and "no sample can be one of this model" in error and "methmix.formats FILE" in error
    assert not (tmp_path / "none.csv").exists()
