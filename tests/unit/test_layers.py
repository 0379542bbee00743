"""Imports run one way along the stages, never back."""

import ast
from pathlib import Path

import pytest

import methmix

PACKAGE = Path(methmix.__file__).parent
ORDER = [
    {
        "errors",
        "bounds",
        "memory",
        "rows",
        "outputs",
        "cli",
        "seeds",
        "provenance",
        "closure",
        "devices",
        "shipped",
        "small_cluster",
        "cluster",
    },
    {"nnls", "tissue_profiles", "least_squares", "metrics", "scores", "arms"},
    {"cuts", "contributions"},
    {"config"},
    {"files"},
    {"pages"},
    {"formats"},
    {"reference"},
    {"mixtures"},
    {"models"},
    {"training"},
    {"samples"},
    {"normals"},
    {"evaluation"},
    {"detection"},
    {"report"},
    {"sweep"},
    {"prediction"},
    {"spikes"},
    {"robustness"},
    {"benchmark"},
    {"workflow", "snakemake_runs"},
    {"status"},
    {"troubleshooting"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        names |= {m.split(".")[1] for m in modules if m.startswith("methmix.")}
    return names & set(RANK)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_import_runs_back(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in RANK, f"{own} has no place in the order of stages"
    backwards = {name for name in imported(path) if RANK[name] > RANK[own]}
    assert not backwards


def isinstance_of(path: Path) -> set[str]:
    """Name the classes that a module asks for by isinstance."""
    asked = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            asked |= {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            asked |= {part.attr for part in ast.walk(node.args[1]) if isinstance(part, ast.Attribute)}
    return asked


def test_models_are_asked_what_they_can_and_not_what_they_are():
    models = {
        node.name
        for path in (PACKAGE / "models").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    assert {"Deconvolver", "TwoStageHead", "ReferenceBackbone"} <= models
    assert "TwoStageHead" in isinstance_of(PACKAGE / "models" / "deconvolver.py")
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "models":
            assert not isinstance_of(path) & models, path


def test_models_read_and_write_no_files():
    for path in (PACKAGE / "models").glob("*.py"):
        assert not imported(path) & {"files", "reference", "mixtures"}, path
