"""The configuration: what is wrong with it is said in the user's words."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from experiments import ROOT
from pydantic import BaseModel, ValidationError

from methmix import metrics
from methmix.arms import ARMS
from methmix.config import __main__ as command
from methmix.config.arm import ArmSettings, OriginalArm, SparseArm, of_one_backbone
from methmix.config.experiment import ArmName, Experiment
from methmix.config.load import (
    arm_of_record,
    check_arms,
    configured_arm,
    effective_variants,
    load,
    load_ablation,
    load_arm,
    load_experiment,
    parse_assignment,
    to_yaml,
)
from methmix.config.section import DISCRIMINATORS
from methmix.config.yaml_files import read
from methmix.errors import InputError
from methmix.models.losses import TERMS


@pytest.fixture
def sparse(repository) -> dict[str, Any]:
    return load_arm(repository / "config/phase2_sparse.yaml").model_dump(mode="json")


def _error(load, path: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(path, **options)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    return str(caught.value)


def _line(path: Path, text: str) -> str:
    """Name a file and the line in which a text is."""
    return f"{path}, line {next(n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line)}"


def test_small_experiment_is_valid(settings, write_yaml):
    experiment = load_experiment(write_yaml(settings))
    assert experiment.reference.n_regions == 400


def test_missing_key(settings, write_yaml):
    del settings["reference"]["n_regions"]
    assert "missing key reference.n_regions" in _error(load_experiment, write_yaml(settings))


def test_missing_keys_are_all_named(settings, write_yaml):
    del settings["reference"]["tissues"]
    del settings["seed"]
    path = write_yaml(settings)
    message = _error(load_experiment, path)
    assert f"{_line(path, 'reference:')}: missing key reference.tissues" in message
    assert f"{path}: missing key seed" in message


def test_mistyped_key_suggests_the_right_one(settings, write_yaml):
    settings["reference"]["n_region"] = settings["reference"].pop("n_regions")
    path = write_yaml(settings)
    message = _error(load_experiment, path)
    assert f"{_line(path, 'n_region:')}: unknown key reference.n_region (did you mean n_regions?)" in message
    assert "missing key reference.n_regions" in message


def test_key_that_nothing_reads(settings, write_yaml):
    settings["evaluation"]["zebra"] = 1
    message = _error(load_experiment, write_yaml(settings))
    assert "unknown key evaluation.zebra; nothing reads it" in message


def test_unread_key_of_an_arm(sparse, write_yaml):
    sparse["loss"]["sparsity_regularization"] = 0.1
    message = _error(load_arm, write_yaml(sparse))
    assert "unknown key loss.sparsity_regularization" in message


@pytest.mark.parametrize(
    ("keys", "value", "fragments"),
    [
        (("reference", "n_regions"), "many", ("reference.n_regions:", "integer", "'many'")),
        (("reference", "n_regions"), 400.5, ("reference.n_regions:", "integer", "400.5")),
        (("reference", "n_regions"), True, ("reference.n_regions:", "integer", "True")),
        (("reference", "n_regions"), 3, ("reference.n_regions:", "greater than or equal to 10", "3")),
        (("reference", "coverage"), float("nan"), ("reference.coverage:", "finite")),
        (("reference", "donor_variation"), "ill", ("reference.donor_variation:", "'healthy'", "'ill'")),
        (("mixtures", "recipes", "phase2", "n_tissues"), 3, ("mixtures.recipes.phase2.n_tissues:", "list")),
        (
            ("mixtures", "recipes", "phaseX"),
            {"kind": "pairs"},
            ("mixtures.recipes.phaseX:", "pattern '^phase[1-9][0-9]*$'"),
        ),
        (("mixtures", "recipes", "phase9"), {}, ("missing key mixtures.recipes.phase9.kind",)),
        (("name",), "../elsewhere", ("name:", "../elsewhere")),
    ],
)
def test_wrong_value(settings, write_yaml, keys, value, fragments):
    section = settings
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    message = _error(load_experiment, write_yaml(settings))
    for fragment in fragments:
        assert fragment in message


def test_unknown_source(settings, write_yaml):
    settings["reference"]["source"] = "crystal_ball"
    message = _error(load_experiment, write_yaml(settings))
    assert "reference.source: unknown value 'crystal_ball'; expected one of" in message
    assert "'counts'" in message


def test_missing_source(settings, write_yaml):
    del settings["reference"]["source"]
    assert "missing key reference.source" in _error(load_experiment, write_yaml(settings))


def test_duplicate_key(write_yaml):
    path = write_yaml("name: a\nseed: 1\nseed: 2\n")
    expected = f"{path}, line 3: duplicate key seed, already set in line 2\n  keep one of the two"
    assert _error(load_experiment, path) == expected


@pytest.mark.parametrize(
    ("text", "fragment"),
    [("a: [", "not readable YAML"), ("- 1\n", "expected a mapping"), ("", "expected a mapping")],
)
def test_not_a_mapping(write_yaml, text, fragment):
    assert fragment in _error(load_experiment, write_yaml(text))


def test_missing_file(tmp_path):
    assert "no such configuration file" in _error(load_experiment, tmp_path / "absent.yaml")


def test_exponent_without_a_dot_is_a_number(write_yaml):
    assert read(write_yaml("rate: 1e-3\n")).content == {"rate": 0.001}


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"n_donors": 17}, "n_donors: 17 is too few, 6 tissues need at least 18"),
        ({"tissues": {"a": ["Blood", "Liver"], "b": ["Blood"]}}, "tissues: Blood is named twice"),
        ({"tissues": {"a": ["Blood"]}}, "at least two tissues"),
    ],
)
def test_simulated_reference_must_fit(settings, write_yaml, change, fragment):
    settings["reference"] |= change
    assert fragment in _error(load_experiment, write_yaml(settings))


def test_arms_of_a_phase_without_a_recipe(settings, write_yaml):
    settings["arms"]["phase3"] = {"original": "a.yaml"}
    message = _error(load_experiment, write_yaml(settings))
    assert "arms.phase3: mixtures.recipes has no phase3" in message


@pytest.mark.parametrize("bounds", [[0.9, 0.6], [0.6, 1.0]])
def test_background_range(settings, write_yaml, bounds):
    settings["mixtures"]["recipes"]["phase3"] = {
        "kind": "background",
        "background": "Blood",
        "background_range": bounds,
        "n_others": [2],
        "concentration": 0.5,
    }
    assert "background_range: expected low < high < 1" in _error(load_experiment, write_yaml(settings))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"smallest_share": 0.1}, "smallest_share: 2 other tissues need 0.2, the background leaves 0.1"),
        ({"background": {"Blood": 0.5, "Liver": 0.4}}, "background: the proportions sum to 0.9, expected 1"),
        ({"background": {"Blood": "most"}}, "background.Blood: Input should be a valid number, found 'most'"),
        ({"background": 3}, "background: Input should be a valid string, found 3"),
        ({"concentration": None}, "concentration: Input should be a valid number, found None"),
    ],
)
def test_background(settings, write_yaml, change, message):
    recipe = {"kind": "background", "background": "Blood", "background_range": [0.6, 0.9], "n_others": [2]}
    settings["mixtures"]["recipes"]["phase3"] = {**recipe, "concentration": 0.5, **change}
    path = write_yaml(settings)
    line = _line(path, f"      {message.partition(':')[0].split('.')[-1]}:") if "Blood" in message else None
    found = _error(load_experiment, path)
    where, _, what = found.partition(": ")
    assert what == f"mixtures.recipes.phase3.{message}"
    assert where == line or (line is None and where.startswith(f"{path}, line "))


@pytest.mark.parametrize(("start", "phase"), [("phase2", "phase2"), ("phase2", "phase1"), ("phase10", "phase9")])
def test_a_training_starts_from_an_earlier_phase(sparse, write_yaml, start, phase):
    sparse["phase"], sparse["training"]["warm_start"] = phase, start
    message = _error(load_arm, write_yaml(sparse))
    assert f"training.warm_start: {start} does not come before {phase}" in message
    sparse["phase"] = "phase11"
    assert load_arm(write_yaml(sparse)).training.warm_start == start


def test_original_configuration_is_refused_for_the_sparse_arm(repository):
    path = repository / "config/phase2_multitissue.yaml"
    message = _error(load_arm, path, expected="sparse")
    assert "arm: expected sparse, found 'original'" in message
    assert "config/phase2_sparse.yaml" in message


def test_old_configuration_of_the_sparse_arm(sparse, write_yaml):
    del sparse["model"]["use_two_stage"]
    del sparse["model"]["presence_threshold"]
    del sparse["loss"]["presence_weight"]
    message = _error(load_arm, write_yaml(sparse), expected="sparse")
    for key in ("model.use_two_stage", "model.presence_threshold", "loss.presence_weight"):
        assert f"missing key {key}" in message
    assert "an old configuration? compare with config/phase2_sparse.yaml" in message


def test_configuration_without_an_arm(sparse, write_yaml):
    del sparse["arm"]
    assert "missing key arm" in _error(load_arm, write_yaml(sparse))
    assert "arm: expected sparse, found None" in _error(load_arm, write_yaml(sparse), expected="sparse")


def test_epoch_of_whole_batches(sparse, write_yaml):
    sparse["training"] |= {"mixtures_per_epoch": 1001, "batch_size": 125}
    message = _error(load_arm, write_yaml(sparse))
    assert "training.mixtures_per_epoch: 1001 is not a multiple of batch_size 125" in message


def test_fractions_of_training_mixtures_are_of_one_whole(sparse, write_yaml):
    sparse["training"] |= {"pure_fraction": 0.4, "any_fraction": 0.6}
    assert load_arm(write_yaml(sparse)).training.any_fraction == 0.6
    sparse["training"]["any_fraction"] = 0.7
    message = _error(load_arm, write_yaml(sparse))
    assert "training.any_fraction: 0.7 and pure_fraction 0.4 are more than all mixtures" in message


def test_mixtures_of_any_kind_where_the_composition_of_donors_is_known(sparse, write_yaml):
    sparse["training"]["any_fraction"] = None
    training = load_arm(write_yaml(sparse)).training
    assert training.of_any_kind(composition_known=True) > 0 == training.of_any_kind(composition_known=False)
    sparse["training"]["any_fraction"] = 0.1
    assert load_arm(write_yaml(sparse)).training.of_any_kind(composition_known=False) == 0.1


def test_steps_are_optimiser_steps(sparse, write_yaml):
    sparse["training"] |= {"mixtures_per_epoch": 1000, "batch_size": 125, "epochs": 3}
    training = load_arm(write_yaml(sparse)).training
    assert (training.steps_per_epoch, training.total_steps) == (8, 24)


def test_overrides(sparse, write_yaml):
    arm = load_arm(write_yaml(sparse), overrides={"training.epochs": 2, "model.head_size": 8})
    assert (arm.training.epochs, arm.model.head_size) == (2, 8)


@pytest.mark.parametrize("dotted", ["training.epoch", "trainings.epochs", "training.epochs.more", "model.zebra"])
def test_override_of_an_unknown_key(sparse, write_yaml, dotted):
    for strict in ("overrides", "changes"):
        assert f"override {dotted}: " in _error(load_arm, write_yaml(sparse), **{strict: {dotted: 2}})


def test_override_of_a_wrong_type(sparse, write_yaml):
    path = write_yaml(sparse)
    message = _error(load_arm, path, overrides={"training.epochs": "two"})
    assert message.startswith(f"{path}, override: training.epochs: ")


def test_overrides_skip_what_only_other_arms_have(repository):
    files = [repository / f"config/phase2_{name}.yaml" for name in ("multitissue", "sparse")]
    shared = {"model.hidden_sizes": [64, 128], "model.head_size": 8, "model.presence_threshold": 0.4}
    original, sparse = (load_arm(file, overrides=shared).model for file in files)
    assert original.hidden_sizes == [64, 128] and not hasattr(original, "head_size")
    assert (sparse.head_size, sparse.gate_threshold) == (8, 0.4) and not hasattr(sparse, "hidden_sizes")
    for file, key in ((files[0], "model.head_size"), (files[1], "model.hidden_sizes")):
        message = _error(load_arm, file, changes={key: shared[key]})
        assert f"override {key}: {file} has no such key; it belongs to another section, arm or backbone" in message


def test_the_backbone_may_be_changed_with_what_it_has(repository):
    file = repository / "config/phase2_sparse.yaml"
    shared = {"model.hidden_sizes": [64, 128], "model.markers_per_tissue": 100}
    changed = load_arm(file, shared, {"model.hidden_sizes": [8], "model.backbone": "mlp"}).model
    assert changed.model_dump() == {
        "use_two_stage": True, "presence_threshold": 0.5, "backbone": "mlp", "hidden_sizes": [8], "dropout": 0.1,
        "purify_donors": True,
    }  # fmt: skip
    assert load_arm(file, shared, {"model.backbone": "mlp"}).model.hidden_sizes == [64, 128]
    assert load_arm(file, shared).model.markers_per_tissue == 100
    message = _error(load_arm, file, changes={"model.backbone": "cnn"})
    assert "model.backbone: unknown value 'cnn'; expected one of 'mlp', 'reference'" in message


def test_without_two_stages_it_is_the_original_model(repository, sparse, write_yaml):
    original = load_arm(
        repository / "config/phase2_multitissue.yaml", {"model.hidden_sizes": [64], "model.dropout": 0.1}
    ).model
    off = load_arm(
        repository / "config/phase2_sparse.yaml", {"model.hidden_sizes": [64]}, {"model.use_two_stage": False}
    )
    sparse["model"]["use_two_stage"] = False
    for arm in (off, load_arm(write_yaml(sparse), {"model.hidden_sizes": [64]})):
        assert arm.model.model_dump(exclude={"use_two_stage", "gate_threshold"}) == original.model_dump()


def test_a_key_of_the_other_backbone_is_an_error(repository, write_yaml):
    text = (repository / "config/phase2_sparse.yaml").read_text()
    path = write_yaml(text.replace("model:\n", "model:\n  hidden_sizes: [8]\n"))
    message = f"{_line(path, 'hidden_sizes')}: unknown key model.hidden_sizes; it belongs to another section, arm or"
    assert message in _error(load_arm, path)


# A record of before: with the keys of both backbones, as every checkpoint had them.
_OF_BOTH = {
    "hidden_sizes": [64, 128], "dropout": 0.1, "head_size": 48, "purify_donors": True, "errors_in_variables": True,
    "markers_per_tissue": 0, "sum_to_one": True, "use_two_stage": True, "presence_threshold": 0.4,
}  # fmt: skip


@pytest.mark.parametrize("backbone", ["mlp", "reference"])
def test_the_arm_of_a_checkpoint_of_before(sparse, write_yaml, backbone):
    sparse["model"] = {**_OF_BOTH, "backbone": backbone}
    arm = arm_of_record(sparse)
    assert (arm.model.backbone, arm.model.gate_threshold) == (backbone, 0.4)
    assert hasattr(arm.model, "hidden_sizes") == (backbone == "mlp") != hasattr(arm.model, "head_size")
    # So was every configuration.
    assert load_arm(write_yaml(sparse)) == arm
    assert arm_of_record(arm.model_dump(mode="json")) == arm


def test_least_squares_are_chosen_unless_stated(repository):
    file = repository / "config/phase2_sparse.yaml"
    assert load_arm(file).model.stated == {"residual_variance": 0.0001}
    model = load_arm(file, {"model.markers_per_tissue": 0, "model.sum_to_one": False}).model
    assert model.stated == {"markers_per_tissue": 0, "sum_to_one": False, "residual_variance": 0.0001}
    assert model.least_squares == (0, True, False, 0.0001)
    for value, problem in ((-1, "greater than or equal to 0"), ("all", "Input should be 'auto'"), (1.5, "integer")):
        message = _error(load_arm, file, changes={"model.markers_per_tissue": value})
        assert "model.markers_per_tissue: " in message and problem in message and len(message.splitlines()) == 1


def test_least_squares_of_a_checkpoint_before_they_were_chosen(sparse):
    """It solves as it did: by the values that it states, or by the default of a key that it does not have."""
    sparse["model"] = of_one_backbone({**_OF_BOTH, "backbone": "reference", "errors_in_variables": False})
    assert arm_of_record(sparse).model.least_squares == (0, False, True, 0.001)
    del sparse["model"]["errors_in_variables"], sparse["model"]["sum_to_one"], sparse["model"]["markers_per_tissue"]
    assert arm_of_record(sparse).model.least_squares == (0, True, True, 0.001)


def test_a_checkpoint_without_a_key_that_was_added_since(sparse):
    arm = arm_of_record(sparse)
    del sparse["training"]["pure_fraction"], sparse["model"]["head_size"], sparse["loss"]["mae_weight"]
    assert arm_of_record(sparse) == arm
    sparse["model"]["zebra"] = 1
    with pytest.raises(InputError, match=r"in the checkpoint: unknown key model\.zebra"):
        arm_of_record(sparse)


def test_the_two_thresholds(sparse):
    sparse["model"]["presence_threshold"], sparse["loss"]["presence_threshold"] = 0.6, 0.02
    arm = arm_of_record(sparse)
    assert (arm.model.gate_threshold, arm.loss.label_threshold) == (0.6, 0.02)
    assert arm.model_dump()["loss"]["presence_threshold"] == 0.02
    assert SparseArm.model_fields["loss"].annotation.model_fields["label_threshold"].default == metrics.PRESENT


def test_assignments():
    assert parse_assignment("training.learning_rate=1e-3") == ("training.learning_rate", 0.001)
    with pytest.raises(InputError, match="expected key=value"):
        parse_assignment("training.epochs")


def test_configuration_cannot_be_changed(settings):
    experiment = Experiment.model_validate(settings)
    with pytest.raises(ValidationError, match="frozen"):
        experiment.seed = 4


def test_written_out_configuration_is_the_same(settings, write_yaml, sparse):
    experiment = Experiment.model_validate(settings)
    assert load_experiment(write_yaml(to_yaml(experiment))) == experiment
    arm = load_arm(write_yaml(sparse))
    assert load_arm(write_yaml(to_yaml(arm))) == arm


def _part_of(stored, found) -> bool:
    """Compare; keys that came later are not stored."""
    if isinstance(stored, dict) and isinstance(found, dict):
        return all(key in found and _part_of(value, found[key]) for key, value in stored.items())
    return stored == found


def test_shipped_configurations_are_what_they_were(repository):
    """Each file stands for the values in shipped.json, whatever its bases and the defaults are."""
    stored = json.loads((Path(__file__).parent / "shipped.json").read_text())
    shipped = {path.stem: path for path in (repository / "config").glob("*.yaml")}
    # What users edit is the default experiment to begin with.
    assert load(shipped.pop("config")) == load(shipped["default"])
    assert shipped.keys() == stored.keys()
    for name, path in shipped.items():
        settings = load(path)
        assert _part_of(stored[name], json.loads(settings.model_dump_json())), name
        if isinstance(settings, Experiment):
            # Several experiments must never write into one folder.
            assert settings.name == name
            for arms in settings.arms.values():
                for arm, file in arms.items():
                    load_arm(repository / file, overrides=settings.overrides, expected=arm)


@pytest.mark.parametrize("phase", ["phase1", "phase2", "phase3"])
def test_the_two_arms_differ_in_the_experiment_only(repository, phase):
    files = [repository / f"config/{phase}_{name}.yaml" for name in ("multitissue", "sparse")]
    original, sparse = (load_arm(file).model_dump() for file in files)
    assert original["phase"] == phase
    assert (original["arm"], sparse["arm"]) == ("original", "sparse")
    for section in ("model", "loss"):
        for key, value in original[section].items():
            assert key in ("backbone", "hidden_sizes", "dropout") or sparse[section][key] == value
    for key in original.keys() - {"arm", "model", "loss", "training"}:
        assert sparse[key] == original[key]
    # Each arm has what its own training was found to need; all else is trained alike.
    of_any = {"any_fraction", "partial_fraction"}
    own = {"learning_rate", "epochs", "pure_fraction", "beta2", "early_stopping_patience"} | of_any
    for key in original["training"].keys() | sparse["training"].keys():
        assert key in own or sparse["training"][key] == original["training"][key]
    assert original["training"]["epochs"] > sparse["training"]["epochs"]
    assert all(original["training"][key] == 0 for key in of_any)
    assert sparse["training"]["any_fraction"] is None and sparse["training"]["partial_fraction"] > 0
    backbone = {"head_size", "errors_in_variables", "markers_per_tissue", "sum_to_one", "residual_variance"}
    assert sparse["model"].keys() - original["model"].keys() - backbone == {"use_two_stage", "presence_threshold"}
    # What the design note names is visible in the files themselves.
    if phase == "phase2":
        written = read(files[1]).content
        assert {"use_two_stage", "presence_threshold"} <= written["model"].keys()
        assert written["loss"] == {key: sparse["loss"][key] for key in written["loss"]}
    assert sparse["loss"].keys() - original["loss"].keys() >= {
        "mae_weight",
        "presence_weight",
        "sparsity_weight",
        "presence_threshold",
        "teacher_forcing",
    }


def _leaves(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """List dotted keys that hold a value -> name of the field; discriminators only choose a section."""
    found = {}
    for name, field in model.model_fields.items():
        sections = list(_sections(field.annotation))
        for section in sections:
            found |= _leaves(section, f"{prefix}{name}.")
        if not sections and get_origin(field.annotation) is not Literal:
            found[f"{prefix}{name}"] = name
    return found


def _sections(annotation: Any):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def test_leaves_are_found():
    leaves = _leaves(Experiment)
    assert leaves["reference.split.test"] == "test"
    assert leaves["mixtures.recipes.concentration"] == "concentration"
    assert "reference.source" not in leaves
    assert len(leaves) > 25


def test_every_key_is_read_somewhere(repository):
    package = repository / "src/methmix"
    outside = [path for path in package.rglob("*.py") if not path.is_relative_to(package / "config")]
    code = "\n".join(path.read_text() for path in outside)
    # A key may also be read through a property of its section, or by the workflow.
    for path in (package / "config").glob("*.py"):
        for name, body in re.findall(
            r"@property\n    def (\w+)\(.*?\n(.*?)(?=\n\S|\n    @|\Z)", path.read_text(), re.S
        ):
            code += body if re.search(rf"\.{name}\b", code + path.read_text()) else ""
    rules = [repository / "workflow/Snakefile", *(repository / "workflow").rglob("*.smk")]
    workflow = "\n".join(path.read_text() for path in rules if path.is_file())
    # The weight of a term of the loss is read by the name of the term.
    weights = {f"{term}_weight" for term in TERMS}
    unread = [
        dotted
        for model in (Experiment, OriginalArm, SparseArm)
        for dotted, name in _leaves(model).items()
        if name not in weights
        and not re.search(rf"\.{name}\b", code)
        and not re.search(rf'\.{name}\b|\["{name}"\]', workflow)
    ]
    assert not unread


@pytest.mark.parametrize("name", ["multitissue", "sparse"])
def test_the_model_is_the_same_in_all_phases(repository, name):
    files = [repository / f"config/{phase}_{name}.yaml" for phase in ("phase1", "phase2", "phase3")]
    phases = [load_arm(file).model_dump() for file in files]
    for section in ("arm", "model", "loss"):
        assert phases[0][section] == phases[1][section] == phases[2][section]
    assert [arm["training"]["warm_start"] for arm in phases] == [None, None, "phase2"]


@pytest.mark.parametrize("model", [Experiment, OriginalArm, SparseArm])
def test_every_key_is_described(model):
    def undescribed(of, prefix=""):
        for name, field in of.model_fields.items():
            sections = list(_sections(field.annotation))
            for section in sections:
                yield from undescribed(section, f"{prefix}{name}.")
            if not sections and get_origin(field.annotation) is not Literal and not field.description:
                yield f"{prefix}{name}"

    assert list(undescribed(model)) == []


def test_command_says_what_is_wrong_without_a_traceback(settings, write_yaml, monkeypatch, capsys):
    del settings["seed"]
    path = write_yaml(settings)
    monkeypatch.setattr(sys, "argv", ["config", str(path)])
    assert command.main() == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"error: {path}: missing key seed\n"


@pytest.mark.parametrize("name", ["tiny", "phase3_sparse", "phase2_ablation"])
def test_command_prints_any_configuration_whole(repository, write_yaml, monkeypatch, capsys, name):
    path = repository / f"config/{name}.yaml"
    monkeypatch.setattr(sys, "argv", ["config", str(path)])
    assert command.main() == 0
    shown = capsys.readouterr().out
    assert "base" not in yaml.safe_load(shown)
    assert load(write_yaml(shown)) == load(path)


def test_help_needs_no_library():
    code = "import sys, methmix.config.__main__; assert not {'pydantic', 'yaml', 'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_arms_are_those_of_the_registry():
    trained = {name for name, arm in ARMS.items() if arm.kind == "trained"}
    assert set(get_args(ArmName)) == trained
    assert {kind.model_fields["arm"].annotation for kind in get_args(ArmSettings)} == {Literal[n] for n in trained}


def test_discriminators_are_those_of_the_sections():
    found = set()

    def look(model):
        for name, field in model.model_fields.items():
            if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
                found.add(name)
            for section in _sections(field.annotation):
                look(section)

    for model in (Experiment, OriginalArm, SparseArm):
        look(model)
    assert found == set(DISCRIMINATORS)


def test_arms_of_an_experiment(settings, repository, monkeypatch):
    monkeypatch.chdir(repository)
    recipes = settings["mixtures"]["recipes"]
    recipes["phase3"] = {**recipes["phase2"]}
    settings["arms"] = {"phase3": {"sparse": "config/phase3_sparse.yaml"}}
    settings["overrides"] = {"training.epochs": 2}
    with pytest.raises(InputError, match="warm_start: experiment small has no sparse arm of phase2"):
        check_arms(Experiment.model_validate(settings))
    settings["arms"]["phase2"] = {"sparse": "config/phase2_sparse.yaml"}
    experiment = Experiment.model_validate(settings)
    check_arms(experiment)
    arm = configured_arm(experiment, "phase3", "sparse", {"training.batch_size": 50})
    assert (arm.training.epochs, arm.training.batch_size, arm.training.warm_start) == (2, 50, "phase2")
    with pytest.raises(InputError, match=r"arms\.phase3: experiment small has no original arm there"):
        configured_arm(experiment, "phase3", "original")
    settings["arms"]["phase2"] = {"sparse": "config/phase1_sparse.yaml"}
    with pytest.raises(InputError, match=r"phase: is phase1, but the experiment names the file in arms\.phase2"):
        check_arms(Experiment.model_validate(settings))


def test_a_new_phase_is_a_recipe_and_an_overlay(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    (tmp_path / "phase10_sparse.yaml").write_text(
        f"base: {ROOT}/config/phase3_sparse.yaml\nphase: phase10\ntraining: {{warm_start: phase3}}\n"
    )
    (tmp_path / "mine.yaml").write_text(
        f"""base: {ROOT}/config/default.yaml
name: mine
mixtures: {{recipes: {{phase10: {{kind: background, background: Liver, n_others: [2]}}}}}}
arms: {{phase10: {{sparse: {tmp_path}/phase10_sparse.yaml}}}}
"""
    )
    experiment = load_experiment(tmp_path / "mine.yaml")
    check_arms(experiment)
    assert list(experiment.arms) == ["phase1", "phase2", "phase3", "phase10"]
    assert configured_arm(experiment, "phase10", "sparse").training.epochs == 5
    # Of the last phase by number, not by name.
    assert experiment.background == ["Liver"]


@pytest.mark.parametrize("name", ["default", "full_scale", "loyfer_u25", "metdecode", "metdecode_294", "tiny"])
def test_arms_and_variants_of_every_shipped_experiment(monkeypatch, name):
    monkeypatch.chdir(ROOT)
    experiment = load_experiment(ROOT / f"config/{name}.yaml")
    check_arms(experiment)
    variants = effective_variants(experiment, "phase2")
    assert {"sparse_mlp", "original_reference", "warm_start_phase1"} <= variants.keys()


def test_shipped_variants_change_keys_that_their_arms_have():
    files = {"sparse": "phase2_sparse.yaml", "original": "phase2_multitissue.yaml"}
    for name, variant in load_ablation(ROOT / "config/phase2_ablation.yaml").variants.items():
        changed = load_arm(ROOT / "config" / files[variant.arm], overrides=variant.set)
        assert changed != load_arm(ROOT / "config" / files[variant.arm]), name


def test_a_variant_that_an_experiment_has_already_is_left_out(monkeypatch):
    monkeypatch.chdir(ROOT)
    everything = set(load_ablation(ROOT / "config/phase2_ablation.yaml").variants)
    assert set(effective_variants(load_experiment(ROOT / "config/default.yaml"), "phase2")) == everything
    experiment = load_experiment(ROOT / "config/metdecode.yaml")
    assert set(effective_variants(experiment, "phase2")) == everything
    exact = experiment.model_copy(update={"overrides": {"model.errors_in_variables": False}})
    assert everything - set(effective_variants(exact, "phase2")) == {"exact_profiles"}


def test_a_variant_that_starts_from_a_phase_that_an_experiment_has_not_is_left_out(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    content = load_experiment(ROOT / "config/default.yaml").model_dump(mode="json")
    del content["arms"]["phase1"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    everything = set(load_ablation(ROOT / "config/phase2_ablation.yaml").variants)
    left = set(effective_variants(load_experiment(tmp_path / "mine.yaml"), "phase2"))
    assert everything - left == {"warm_start_phase1"}


@pytest.mark.parametrize("key", ["model.backbone", "model.use_two_stage"])
def test_a_variant_of_another_backbone_than_the_experiments_is_left_out(monkeypatch, tmp_path, key):
    monkeypatch.chdir(ROOT)
    content = load_experiment(ROOT / "config/default.yaml").model_dump(mode="json")
    content["overrides"][key] = {"model.backbone": "mlp", "model.use_two_stage": False}[key]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    variants = load_ablation(ROOT / "config/phase2_ablation.yaml").variants
    left = effective_variants(load_experiment(tmp_path / "mine.yaml"), "phase2")
    assert "exact_profiles" in variants.keys() - left.keys()
    assert {"raw_donors", "known_donors", "original_reference"} <= left.keys()


def test_a_mistyped_key_of_a_variant_is_an_error(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    ablation = load_ablation(ROOT / "config/phase2_ablation.yaml").model_dump()
    ablation["variants"]["raw_donors"]["set"] = {"model.purify_donor": False}
    (tmp_path / "ablation.yaml").write_text(yaml.safe_dump(ablation))
    content = load_experiment(ROOT / "config/default.yaml").model_dump(mode="json")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**content, "ablation": str(tmp_path / "ablation.yaml")}))
    with pytest.raises(InputError, match="did you mean purify_donors"):
        effective_variants(load_experiment(tmp_path / "mine.yaml"), "phase2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["variants"]["raw_donors"].update(label=c["variants"]["sparse_mlp"]["label"]), "the same label"),
        (lambda c: c["variants"].update(sparse=c["variants"].pop("raw_donors")), "sparse: is the name of an arm"),
        (lambda c: c["variants"]["raw_donors"].update(arms="sparse"), "unknown key variants.raw_donors.arms"),
    ],
)
def test_a_mistake_in_the_ablation_is_named(tmp_path, change, message):
    content = load_ablation(ROOT / "config/phase2_ablation.yaml").model_dump()
    change(content)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=message):
        load_ablation(tmp_path / "mine.yaml")
