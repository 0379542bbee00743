"""What the shipped configurations say of published samples whose origin is known."""

import json

import pandas as pd
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.data, pytest.mark.slow, pytest.mark.long]

TUMOURS = {"Breast": {"BRCA"}, "Cervical": {"CEAD", "CESC"}, "Colorectal": {"COAD", "READ"}, "Ovarian": {"OV"}}


@pytest.fixture
def predicted(tmp_path, checkout_in, snakemake, data_file, monkeypatch):
    """Predict the samples that a configuration names."""

    def run(name: str) -> tuple[pd.DataFrame, dict]:
        monkeypatch.setenv("METHMIX_DATA", str(data_file("SHA256SUMS").parent))
        checkout = checkout_in(tmp_path)
        done = snakemake(checkout, "predict", "--configfile", f"config/{name}.yaml")
        assert done.returncode == 0, done.stderr[-4000:]
        folder = checkout / "results" / name / "prediction"
        table = pd.read_csv(folder / "predictions.csv")
        return table.pivot_table("proportion", "sample", "tissue"), json.loads(
            (folder / "predictions.json").read_text()
        )

    return run


def test_white_blood_cells_have_no_tumour_and_tumours_have_theirs(predicted):
    shares, _ = predicted("metdecode")
    tumours = sorted(set.union(*TUMOURS.values()))
    white = shares[shares.index.str.contains("WBC")]
    # A tumour that resembles no mixture of the tissues may have no estimates.
    assert len(white) == 12 and 30 <= len(shares) <= 32
    assert (white[tumours] == 0).all(axis=None)
    leading = shares[tumours].idxmax(axis=1)
    right = [
        any(f"-{kind}-" in name and leading[name] in own for kind, own in TUMOURS.items()) for name in leading.index
    ]
    assert sum(right) >= 16


def test_tissues_are_made_of_their_cells(predicted):
    shares, record = predicted("loyfer_u25")
    lung, pancreas = (shares.loc[name].sort_values(ascending=False) for name in ("lung", "pancreas"))
    assert set(lung.index[:2]) == {"Endothel", "Lung-Ep-Alveo"}
    assert pancreas.index[:2].tolist() == ["Pancreas-Acinar", "Pancreas-Duct"]
    assert all(sample["regions"]["observed"] > 600 for sample in record["samples"])
