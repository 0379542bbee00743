"""A model as a folder to publish: it loads again with equal predictions, and its card says who may use it."""

import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file

from methmix.prediction.card import model_card
from methmix.prediction.huggingface import readme
from methmix.training.checkpoint import load_checkpoint, load_model, publish_checkpoint
from methmix.training.training_costs import without_costs


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    made = tmp_path_factory.mktemp("published") / "model"
    publish_checkpoint(made, load_checkpoint(checkpoint), "card")
    return made


def test_it_is_the_checkpoint_without_what_resuming_needs(folder, checkpoint):
    (own, before), (other, after) = load_model(checkpoint), load_model(folder)
    for name, tensor in own.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]) and tensor.dtype == other.state_dict()[name].dtype
    assert after.region_names == before.region_names and after.regions.keys() == before.regions.keys()
    before = without_costs(before)
    for name in ("arm", "tissue_names", "genome", "reference_digest", "identity", "best", "record", "finished"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.history == [] and after.optimiser == {}
    assert model_card(after) == model_card(before)
    # Of open formats, and readable by others.
    assert json.loads((folder / "config.json").read_text())["model_type"] == "methmix"
    assert load_file(folder / "model.safetensors")["regions.start"].dtype == torch.int64
    assert {path.stat().st_mode & 0o044 for path in folder.iterdir()} == {0o044}


def test_the_command_writes_it_and_predicts_with_it(command, checkpoint, counts, tmp_path):
    folder = tmp_path / "model"
    code, _, _ = command("--describe", "--format", "huggingface", output=folder)
    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    tables = []
    for model in (checkpoint, folder):
        code, _, output = command("--samples", counts, model=model, output=tmp_path / f"{model.name}.csv")
        assert code == 0
        tables.append(output.read_bytes())
    assert tables[0] == tables[1]
    record = json.loads((folder / "config.json").read_text())["record"]
    # Names of machines and folders are left out.
    assert not {"host", "slurm"} & record.keys() and record["warm_start"] == {}


@pytest.mark.parametrize(
    ("licence", "terms", "expected"),
    [
        ("MIT", "Anyone, with the notice.", {"license": "mit"}),
        ("other", "Research use only.", {"license": "other", "license_name": "terms-of-use-of-the-reference"}),
        ("", "", {"license": "other", "license_name": "terms-of-use-of-the-reference"}),
    ],
)
def test_the_card_says_who_may_use_the_model(checkpoint, licence, terms, expected):
    found = load_checkpoint(checkpoint)
    found.record |= {"licence": licence, "terms_of_use": terms}
    _, head, text = readme(model_card(found)).split("---\n", 2)
    content = yaml.safe_load(head)
    assert {name: content.get(name) for name in expected} == expected
    assert content["library_name"] == "methmix" and "cell-free-dna" in content["tags"]
    assert (terms or "not stated") in text.split("## Who may use it")[1].split("##")[0]
    assert "For research use only" in text and "600 regions" in text and ", ".join(found.tissue_names) in text


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "model.safetensors: no such file, which a model",
        ),
        (
            lambda folder: (folder / "config.json").write_text(
                (folder / "config.json").read_text().replace("config_sha256", "config_sha255")
            ),
            "config.json: was changed after it was written",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: is damaged ("),
        (lambda folder: (folder / "config.json").write_text("{}"), "is not the configuration of a methmix model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 20), "is not the file that config"),
        (
            lambda folder: (folder / "config.json").write_text(
                (folder / "config.json").read_text().replace('"weights_sha256": "', '"weights_sha256": "0')
            ),
            "is not the file that config.json belongs to",
        ),
        (
            lambda folder: (folder / "config.json").write_text(
                (folder / "config.json").read_text().replace('"genome": "', '"genome": "x')
            ),
            "config.json: is damaged: its digest does not hold",
        ),
    ],
)
def test_a_damaged_folder_is_refused(folder, command, counts, tmp_path, damage, message):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    damage(copy)
    code, err, _ = command("--samples", counts, model=copy)
    assert code == 2
    assert message in err and "Traceback" not in err


def test_a_folder_needs_both_options(command, tmp_path):
    code, err, _ = command("--describe", output=tmp_path / "model")
    assert code == 2
    assert "--format huggingface together with --output FOLDER" in err
