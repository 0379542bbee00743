"""What an experiment may say."""

import pytest
from experiments import ROOT

from methmix.config.load import load_experiment
from methmix.errors import InputError


def test_a_tissue_that_is_named_twice_is_refused(tmp_path):
    text = (ROOT / "config/metdecode.yaml").read_text().replace("[COAD, READ]", "[COAD, cd4tcell]")
    (tmp_path / "mine.yaml").write_text(text.replace("base: ", f"base: {ROOT}/config/"))
    with pytest.raises(InputError, match="look_alikes: cd4tcell is named twice"):
        load_experiment(tmp_path / "mine.yaml")
