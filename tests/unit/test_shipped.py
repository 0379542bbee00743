"""Shipped files are found from any folder, and a file of the user's own goes first."""

from pathlib import Path

from methmix.shipped import found


def test_a_shipped_file_is_found_from_any_folder(tmp_path, monkeypatch, repository):
    monkeypatch.chdir(tmp_path)
    assert found("config/tiny.yaml") == repository / "config/tiny.yaml"
    assert found("config/sweeps/knobs.yaml").is_file() and found("schemas/samples.schema.json").is_file()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tiny.yaml").touch()
    assert found("config/tiny.yaml") == Path("config/tiny.yaml")
    assert found("config/tiny.yaml", repository) == repository / "config/tiny.yaml"


def test_a_file_that_is_nowhere_keeps_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("config/none.yaml", "config", "/none/config/tiny.yaml"):
        assert found(name) == Path(name)


def test_every_shipped_file_is_one_of_the_repository(repository):
    """The links, which the built package has copies of."""
    links = repository / "src/methmix/shipped_files"
    assert {path.name: path.resolve() for path in links.iterdir()} == {
        "config": repository / "config",
        "schemas": repository / "workflow/schemas",
    }
