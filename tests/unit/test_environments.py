"""One set of versions, however the environment is made."""

import re
import tomllib
from importlib import metadata

import yaml
from experiments import ROOT
from packaging.requirements import Requirement

import methmix


def pins(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def conda(name):
    environment = yaml.safe_load((ROOT / "envs" / name).read_text())
    assert environment["dependencies"][:2] == ["python=3.11", "pip"]
    return environment["dependencies"][-1]["pip"]


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(name, found):
    """Collect what a distribution needs, and what that needs."""
    if normalised(name) in found:
        return
    found.add(normalised(name))
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, found)


def test_pipeline_environment_has_the_versions_of_the_requirements():
    assert conda("pipeline.yaml") == pins("requirements.txt")


def test_training_environment_has_what_methmix_needs_at_the_same_versions():
    training = conda("training.yaml")
    assert set(training) < set(pins("requirements.txt"))
    found = set()
    for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        needed(Requirement(text).name, found)
    found -= {"setuptools"}  # comes with every environment
    assert {normalised(pin.split("==")[0]) for pin in training} == found


def test_container_installs_the_requirements_on_the_same_python():
    definition = (ROOT / "envs" / "methmix.def").read_text()
    assert "From: python:3.11-" in definition
    assert "envs/requirements.txt /opt/requirements.txt" in definition and "-r /opt/requirements.txt" in definition
    assert 'container: "envs/methmix.sif"' in (ROOT / "workflow" / "Snakefile").read_text()


def test_installed_is_what_is_pinned():
    for pin in pins("requirements.txt"):
        name, version = pin.split("==")
        assert metadata.version(name).split("+")[0] == version


def test_batch_scripts_ask_for_what_the_profile_asks_for():
    """An `#SBATCH` line cannot read the profile; this keeps them together."""
    profile = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text())
    train = profile["set-resources"]["train"]
    for arm in ("original", "sparse"):
        script = (ROOT / "slurm" / f"train_{arm}.sh").read_text()
        asked = dict(re.findall(r"^#SBATCH --(\S+?)=(\S+)$", script, flags=re.MULTILINE))
        hours, minutes, _ = asked["time"].split(":")
        assert asked["partition"] == train["slurm_partition"]
        assert asked["gres"] == f"gpu:{train['gpu_model']}:{train['gpu']}"
        assert 60 * int(hours) + int(minutes) == train["runtime"]
        assert asked["mem"] == train["mem_mb"].replace(" * attempt", "M")
        assert int(asked["cpus-per-task"]) == train["cpus_per_task"] == profile["set-threads"]["train"]


def test_everything_is_pinned():
    for line in pins("requirements.txt") + pins("requirements-dev.txt"):
        name, version = line.split("==")
        assert name and version


def test_one_version_of_methmix():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == methmix.__version__
    assert f'version = "{methmix.__version__}"' in (ROOT / "pyproject.toml").read_text()
