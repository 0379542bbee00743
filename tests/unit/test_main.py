"""The command ``methmix``."""

import sys

import pytest

import methmix
from methmix.__main__ import main


def test_it_says_its_version(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["methmix", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"methmix {methmix.__version__}\n"


def test_its_help_says_what_each_stage_is_for(monkeypatch, capsys, repository):
    monkeypatch.setattr(sys, "argv", ["methmix", "--help"])
    with pytest.raises(SystemExit):
        main()
    listed = capsys.readouterr().out.split("stages:\n")[1].split("\n\n")[0].splitlines()
    stages = sorted(path.parent.name for path in (repository / "src/methmix").glob("*/__main__.py"))
    assert [line.split()[0] for line in listed] == stages
    assert all(len(line.split()) > 3 for line in listed)


def test_a_stage_gets_its_arguments(monkeypatch, capsys, repository):
    monkeypatch.setattr(sys, "argv", ["methmix", "config", str(repository / "config/tiny.yaml")])
    assert main() == 0
    assert "name: tiny" in capsys.readouterr().out
