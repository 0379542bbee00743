"""What a training is started with: where it writes, and what it says where its input is not there yet."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from methmix.errors import InputError
from methmix.training.__main__ import main
from methmix.training.train import _own_folder


@pytest.mark.parametrize("output", ["results/mine", "a/../results", "shared/recommended", None])
def test_a_configuration_says_where_to_write_here_or_beside_itself(tmp_path, monkeypatch, output):
    (work := tmp_path / "work").mkdir()
    monkeypatch.chdir(work)
    given = str(tmp_path / output) if output and output.startswith("shared") else output
    found = _own_folder(SimpleNamespace(output=given), tmp_path / "shared/arm.yaml")
    assert found == (Path(given) if given else None)


@pytest.mark.parametrize("output", ["/etc/methmix", "../other", "results/../../other", "~/../../other/../../x"])
def test_a_configuration_does_not_say_where_else_to_write(tmp_path, monkeypatch, output):
    (work := tmp_path / "work").mkdir()
    monkeypatch.chdir(work)
    with pytest.raises(InputError, match="neither below the working folder nor beside the configuration"):
        _own_folder(SimpleNamespace(output=output), Path("config/arm.yaml"))


def test_without_mixtures_the_line_that_makes_them_is_named(tmp_path, monkeypatch, capsys, repository):
    monkeypatch.chdir(tmp_path)
    given = ("--config", str(repository / "config/phase2_sparse.yaml"), "--experiment", "config/tiny.yaml")
    monkeypatch.setattr("sys.argv", ["training", *given])
    assert main() == 2
    made = "snakemake results/tiny/mixtures/phase2_validation_mixtures.h5 --configfile config/tiny.yaml"
    assert f"make it: {made}; or: python -m methmix.mixtures" in capsys.readouterr().err
