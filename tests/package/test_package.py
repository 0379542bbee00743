"""What users get by pip or conda, and the programs of others that read what methmix writes."""

import json
import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from experiments import PHASE3, ROOT, counts_table, tiny_reference, trained

import methmix
from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler

pytestmark = pytest.mark.package


@pytest.fixture(scope="module")
def sample_files(tmp_path_factory):
    """A trained model and a table of ten samples."""
    folder = tmp_path_factory.mktemp("samples")
    reference = tiny_reference()
    plasma = MixtureSampler(reference, "test", PHASE3, [60]).sample(10, seeds.generator(6, "plasma"))
    return trained(reference, folder / "run"), counts_table(reference, plasma, folder / "counts.tsv")


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel in a new environment, which takes all else from the present one; runs ``methmix`` in its folder."""
    folder = tmp_path_factory.mktemp("installed")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv/bin/python"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", *built.glob("*.whl")], check=True, env=environment
    )
    others = next((folder / "venv/lib").glob("python*/site-packages"))
    # Files with paths are not followed in there, so that no other methmix is seen.
    (others / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")

    def run(*arguments):
        command = [folder / "venv/bin/methmix", *map(str, arguments)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    return run


def test_twine_finds_no_fault(tool, built):
    done = tool("twine", "check", "--strict", *built.iterdir())
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_wheel_has_every_file_of_the_package(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("methmix/")}
    package = ROOT / "src/methmix"
    walked = (Path(folder, name) for folder, _, names in os.walk(package, followlinks=True) for name in names)
    expected = {str(path.relative_to(package.parent)) for path in walked if "__pycache__" not in path.parts}
    assert packed == expected
    assert {"methmix/shipped_files/config/default.yaml", "methmix/prediction/report.html"} < packed


def test_the_command_predicts_outside_of_the_repository(installed, sample_files, tmp_path):
    assert installed("--version").stdout == f"methmix {methmix.__version__}\n"
    stages = installed("--help").stdout
    assert all(f"\n  {stage.parent.name} " in stages for stage in (ROOT / "src/methmix").glob("*/__main__.py"))
    assert "n_regions: 600" in installed("config", "config/tiny.yaml").stdout
    checkpoint, counts = sample_files
    output = tmp_path / "predictions.csv"
    done = installed("prediction", "--checkpoint", checkpoint, "--samples", counts, "--output", output)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(output)
    assert table.groupby("sample")["proportion"].sum().tolist() == pytest.approx([1] * 10, abs=1e-6)


def test_multiqc_shows_the_samples(tool, sample_files, tmp_path):
    checkpoint, counts = sample_files
    command = [sys.executable, "-m", "methmix.prediction", "--checkpoint", checkpoint, "--samples", counts]
    done = subprocess.run([*command, "--output", tmp_path / "run/plasma.csv"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = tool("multiqc", "--strict", "--outdir", tmp_path / "report", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    data = tmp_path / "report/multiqc_data"
    found = pd.read_csv(data / "multiqc_methmix_proportions_plot.txt", sep="\t", index_col="Sample")
    table = pd.read_csv(tmp_path / "run/plasma.csv").pivot_table("proportion", "sample", "tissue")
    pd.testing.assert_frame_equal(found.sort_index(), 100 * table, check_names=False, rtol=1e-6)
    general = pd.read_csv(data / "multiqc_general_stats.txt", sep="\t", index_col="Sample")
    verdicts = general.filter(like="verdict").iloc[:, 0]
    assert len(verdicts) == 10 and set(verdicts) <= {"fits", "shifted", "odd"}
    assert "methmix: tissue proportions" in (tmp_path / "report/multiqc_report.html").read_text()


def test_the_citation_is_valid(tool):
    done = tool("cffconvert", "--validate", "--infile", ROOT / "CITATION.cff")
    assert done.returncode == 0, done.stderr


def test_rattler_build_renders_the_recipe(tool):
    program = (
        "import sys, json, rattler_build; "
        "made = rattler_build.Stage0Recipe.from_file(sys.argv[1]).render(); "
        "print(json.dumps([[v.recipe.package.name, str(v.recipe.package.version)] for v in made]))"
    )
    done = tool("python", "-c", program, ROOT / "recipe/recipe.yaml")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [["methmix", methmix.__version__]]


def test_the_source_distribution_has_no_results(built, tmp_path):
    shutil.unpack_archive(next(built.glob("*.tar.gz")), tmp_path)
    names = {path.name for path in next(tmp_path.iterdir()).iterdir()}
    assert {"LICENSE", "README.md", "pyproject.toml", "src"} <= names
    assert not names & {"results", "data", ".venv", "logs"}
