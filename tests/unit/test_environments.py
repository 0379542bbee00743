"""One set of versions, however the environment is made."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from experiments import ROOT
from packaging.requirements import Requirement

import methmix
from methmix import cli

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Extras that jobs of the workflow use.
OF_JOBS = ("bam", "bigwig", "publish", "report", "sweep")


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
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *(text for name in OF_JOBS for text in extras[name])]:
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
    for line in (line for name in ("", "-dev", "-package") for line in pins(f"requirements{name}.txt")):
        name, version = line.split("==")
        assert name and version


def test_one_version_of_methmix():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == methmix.__version__
    assert PROJECT["dynamic"] == ["version"] and "version" not in PROJECT
    recipe = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text())
    assert recipe["context"]["version"] == methmix.__version__


def test_the_recipe_needs_what_the_package_needs():
    recipe = yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text())["requirements"]
    conda_names = {
        "torch": "pytorch",
        "matplotlib": "matplotlib-base",
        "pyBigWig": "pybigwig",
        "xxhash": "python-xxhash",
    }

    def named(texts):
        found = [Requirement(text.replace(" ", "", 1)) for text in texts]
        return {(conda_names.get(one.name, one.name), str(one.specifier)) for one in found}

    python = ("python", PROJECT["requires-python"])
    assert named(recipe["run"]) == named(PROJECT["dependencies"]) | {python}
    optional = [text for name in (*OF_JOBS, "workflow") for text in PROJECT["optional-dependencies"][name]]
    assert named(recipe["run_constraints"]) == named(text for text in optional if not text.startswith("methmix"))
    assert python in named(recipe["host"])


@pytest.mark.slow
def test_what_not_everyone_needs_is_imported_where_it_is_used():
    """A prediction, and a training, need no extra; the message of what does names it."""
    optional = [Requirement(text).name for name in OF_JOBS for text in PROJECT["optional-dependencies"][name]]
    modules = [name.removesuffix("-python").replace("-", "_") for name in optional]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({modules})); "
        "import methmix.prediction.prediction_command, methmix.training.train, methmix.reference.build; "
        "import methmix.mixtures.write, methmix.evaluation.evaluate, methmix.formats.file_formats; "
        "from methmix import cli; "
        "print(cli._explained(ModuleNotFoundError(name='altair.vegalite'))[1])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'methmix[report]'" in done.stdout
    assert cli._EXTRAS.keys() == set(modules)
    assert set(cli._EXTRAS.values()) == set(OF_JOBS)


def test_what_runs_elsewhere_runs_what_runs_here():
    workflows = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
    typed = {
        name: " ".join(step.get("run", "") for job in content["jobs"].values() for step in job["steps"])
        for name, content in workflows.items()
    }
    assert ".ci/run" in typed["ci.yml"] and "make package" in typed["release.yml"]
    assert "make test-all\nmake package\n" in (ROOT / ".ci/run").read_text()


def test_the_workflow_catalog_can_show_it():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"} and usage["report"] is True
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert {"conda", "apptainer", "apptainer+conda"} == usage["software-stack-deployment"].keys()
    for name in ("workflow/Snakefile", "config/README.md", "config/config.yaml", ".test/config/config.yaml"):
        assert (ROOT / name).is_file()
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme
