"""One set of versions, however the environment is made."""

import yaml
from experiments import ROOT

import methmix


def pins(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def test_conda_environment_has_the_versions_of_the_requirements():
    environment = yaml.safe_load((ROOT / "envs" / "pipeline.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == pins("requirements.txt")


def test_everything_is_pinned():
    for line in pins("requirements.txt") + pins("requirements-dev.txt"):
        name, version = line.split("==")
        assert name and version


def test_one_version_of_methmix():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == methmix.__version__
    assert f'version = "{methmix.__version__}"' in (ROOT / "pyproject.toml").read_text()
