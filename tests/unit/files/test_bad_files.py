"""Bad binary files and configurations: each ends in one message: what, where, what was expected, what to do."""

import logging
import math
import os
import re
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from reliability import fuzz_binary

from methmix.errors import InputError
from methmix.files.seal import seal
from methmix.normals import panel_file

TARGETS = {name: (write, read) for name, write, read, _ in fuzz_binary.TARGETS}
Edit = Callable[[Path], Any]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Give the bytes of a good file; each is written once."""
    folder, made = tmp_path_factory.mktemp("good"), {}

    def give(name: str) -> bytes:
        if name not in made:
            TARGETS[name][0](folder / name)
            made[name] = (folder / name).read_bytes()
        return made[name]

    return give


def hdf5(change: Callable[[h5py.File], Any]) -> Edit:
    """Edit HDF5 as one who knows of its digests."""

    def edit(path: Path) -> None:
        with h5py.File(path, "a") as file:
            change(file)
            if path.name == "normals.h5" and "digest" in file.attrs:
                file.attrs["digest"] = panel_file._digest(file)
        seal(path)

    return edit


def dataset(name: str, change: Any, **options: Any) -> Edit:
    """Replace a dataset: by an array, or by what a function makes of its values."""

    def replaced(file: h5py.File) -> None:
        old = file[name]
        values = old.asstr()[:] if h5py.check_string_dtype(old.dtype) else old[:]
        new = change(values) if callable(change) else change
        kept = {"dtype": old.dtype} if callable(change) and not options else options
        del file[name]
        file.create_dataset(name, data=new, **kept)

    return hdf5(replaced)


def at(place: Any, value: Any) -> Callable[[Any], Any]:
    """Set one value."""

    def change(values: Any) -> Any:
        values = values.copy()
        values[place] = value
        return values

    return change


def attribute(name: str, value: Any) -> Edit:
    """Set an attribute, None to remove it."""

    def change(file: h5py.File) -> None:
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return hdf5(change)


def link(name: str, to: Any) -> Edit:
    """Put a link in place of a dataset or group."""

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = to

    return hdf5(change)


def virtual(name: str) -> Edit:
    """Let a dataset be made of that of another file."""

    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout(file[name].shape, file[name].dtype)
        layout[:] = h5py.VirtualSource("/etc/other.h5", name, file[name].shape)
        del file[name]
        file.create_virtual_dataset(name, layout)

    return hdf5(change)


def unallocated(name: str, shape: tuple[int, ...], chunks: tuple[int, ...]) -> Edit:
    """Let a dataset claim a size of which nothing is stored."""

    def change(file: h5py.File) -> None:
        dtype = file[name].dtype
        del file[name]
        file.create_dataset(name, shape, dtype, chunks=chunks)

    return hdf5(change)


def external(name: str) -> Edit:
    def change(file: h5py.File) -> None:
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])

    return hdf5(change)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def kept(part: float) -> Edit:
    """Keep a part of the bytes."""
    return lambda path: path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def text(content: str | bytes) -> Edit:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def is_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


_OFF_SHAPE = (10**9, fuzz_binary._N_REGIONS)
_ANY_HDF5: list[tuple[Edit, str]] = [
    (cut, "has no digest: truncated"),
    (flipped, "is damaged: its digest does not hold"),
    (kept(0.02), "has no digest: truncated"),
    (kept(0.5), "has no digest: truncated"),
    (text(b""), "is truncated or not HDF5"),
    (text("tissue,proportion\n"), "is truncated or not HDF5"),
    (is_folder, "is a folder; expected a file"),
    (attribute("schema_version", 99), r"schema_version: expected \d, found 99"),
    (attribute("schema_version", "two"), r"schema_version: expected \d, found two"),
    (attribute("schema_version", np.arange(3)), r"schema_version: expected \d"),
    (attribute("schema_version", None), r"schema_version: expected \d, found None"),
]
_REFERENCE: list[tuple[Edit, str]] = [
    (dataset("depth", lambda v: v * 1.0, dtype="f8"), "dataset depth: expected int32, found float64"),
    (dataset("methylated", lambda v: v * 1j, dtype="c16"), "methylated: expected int32, found complex128"),
    (dataset("donors", np.arange(9)), "dataset donors: expected text, found int64"),
    (dataset("donors", at(4, "")), r"donors: expected text, found  at \[4\]"),
    (dataset("donors", at(4, "Blood-0")), "duplicate donor Blood-0"),
    (dataset("split", at(0, "holdout")), "split: expected .* found .*holdout"),
    (dataset("tissues", lambda v: v[:-1]), r"tissues has shape \(8,\), expected \(9,\)"),
    (dataset("regions/start", at(3, -5)), r"regions/start: expected 0 to .*, found -5 at \[3\]"),
    (dataset("regions/end", at(3, 1)), "region 3 ends before it begins"),
    (dataset("regions/end", lambda v: v[:5]), r"regions/end has shape \(5,\), expected \(12,\)"),
    (dataset("depth", np.ones(5, "i4")), r"dataset depth: expected 2 axes, found shape \(5,\)"),
    (dataset("methylated", lambda v: v[:, :-1]), r"methylated has shape \(9, 11\), expected \(9, 12\)"),
    (dataset("methylated", at((2, 1), 10**6)), "region 1: 1000000 methylated of"),
    (dataset("methylated", at((2, 1), -1)), "region 1: -1 methylated of"),
    (hdf5(lambda file: file.pop("depth")), "dataset depth is missing"),
    (hdf5(lambda file: file.pop("regions")), "dataset regions/chrom is missing"),
    (link("depth", h5py.ExternalLink("/etc/other.h5", "depth")), "depth is a link to elsewhere"),
    (link("depth", h5py.SoftLink("/methylated")), "depth is a link to elsewhere"),
    (link("regions", h5py.ExternalLink("/etc/other.h5", "regions")), "regions is a link to elsewhere"),
    (virtual("depth"), "dataset depth is stored in other files"),
    (external("methylated"), "dataset methylated is stored in other files"),
    (dataset("donors", np.array([], dtype=object), dtype=h5py.string_dtype()), "donors is empty"),
    (unallocated("methylated", (9, 12), (9, 12)), "."),
    (attribute("notes", "no JSON"), "attribute notes: expected a list in JSON, found 'no JSON'"),
    (attribute("notes", "{}"), "attribute notes: expected a list in JSON"),
    (attribute("notes", "[" * 100_000), "attribute notes: expected a list in JSON"),
    (attribute("sha256", "[1]"), "attribute sha256: expected a object in JSON"),
    (attribute("versions", np.arange(3)), "attribute versions: expected a object in JSON"),
    (attribute("composition_known", "yes"), "attribute composition_known: expected true or false"),
    (attribute("composition_known", np.nan), "attribute composition_known: expected true or false"),
    (attribute("content_digest", None), "attribute content_digest is missing"),
    (attribute("content_digest", "0"), "its content is not what was written"),
    (attribute("seed", "one"), "attribute seed: expected integer, found 'one'"),
    (attribute("genome", np.float64(3)), "attribute genome: expected text, found 3"),
]
_MIXTURES: list[tuple[Edit, str]] = [
    (dataset("mixed_methylation", lambda v: v, dtype="f8"), "expected float32, found float64"),
    (dataset("mixed_methylation", lambda v: v.astype("c8"), dtype="c8"), "expected float32, found complex64"),
    (
        dataset("depth", lambda v: v.astype(str).astype(object), dtype=h5py.string_dtype()),
        "expected uint16, found text",
    ),
    (dataset("depth", lambda v: v.astype("i4") - 1, dtype="i4"), "depth: expected uint16, found int32"),
    (dataset("mixed_methylation", at((1, 2), 1.5)), "mixture 1, region 2: methylation 1.5"),
    (dataset("mixed_methylation", at((1, 2), np.inf)), "mixture 1, region 2: methylation inf"),
    (dataset("mixed_methylation", at(3, np.nan)), "mixture 3, region .* NaN exactly where depth is 0"),
    (dataset("depth", at(3, 0)), "mixture 3, region .*NaN exactly where depth is 0"),
    (dataset("true_proportions", at((0, 1), -0.1)), r"true_proportions: expected 0 to 1, found -0.1 at \[0, 1\]"),
    (dataset("true_proportions", at((0, 1), np.nan)), r"true_proportions: expected 0 to 1, found nan"),
    (dataset("label_proportions", at((0, 1), np.inf)), r"label_proportions: expected 0 to 1, found inf"),
    (dataset("true_proportions", lambda v: v / 2), "true_proportions: rows do not sum to 1"),
    (dataset("label_proportions", lambda v: v / 2), "label_proportions: rows do not sum to 1"),
    (dataset("true_proportions", lambda v: v[:, :2]), "true_proportions has shape|label_proportions has shape"),
    (dataset("depth", lambda v: v[:, :9]), r"depth has shape \(5, 9\), expected \(5, 12\)"),
    (dataset("mixture_info", at(2, "{")), "mixture_info 2 is not JSON"),
    (dataset("mixture_info", at(2, "[1]")), r"mixture_info 2: expected a JSON object, found \[1\]"),
    (dataset("mixture_info", np.arange(5)), "mixture_info: expected text, found int64"),
    (unallocated("mixed_methylation", _OFF_SHAPE, (1, 12)), "mixed_methylation.*more than the bound"),
    (unallocated("mixed_methylation", (1, 9 * 10**8), (1, 9 * 10**8)), "mixed_methylation.*more than the bound"),
    (attribute("tissue_names", None), "attribute tissue_names is missing"),
    (attribute("tissue_names", 3), "attribute tissue_names: expected distinct texts, found 3"),
    (attribute("tissue_names", ["A", "A", "B"]), "attribute tissue_names: expected distinct texts"),
    (attribute("tissue_names", ["A", "B"]), "attribute tissue_names: expected 3 texts"),
    (attribute("n_mixtures", 7), "attribute n_mixtures: expected 5, the number of mixtures, found 7"),
    (attribute("phase", 2), "attribute phase: expected text, found 2"),
    (attribute("recipe", "pairs"), "attribute recipe: expected a object in JSON"),
    (hdf5(lambda file: file.pop("depth")), "dataset depth is missing"),
    (hdf5(lambda file: file["regions"].pop("end")), "dataset regions/end is missing"),
    (link("depth", h5py.ExternalLink("/etc/other.h5", "depth")), "depth is a link to elsewhere"),
]
_PANEL: list[tuple[Edit, str]] = [
    (dataset("mean", at(1, np.nan)), r"mean: expected 0 to 1, found nan at \[1\]"),
    (dataset("factors", at((1, 2), np.inf)), r"factors: expected finite numbers, found inf at \[1, 2\]"),
    (dataset("variance", at(1, -1)), r"variance: expected 0 to inf, found -1.0 at \[1\]"),
    (dataset("controls/misfit", at(1, np.nan)), r"controls/misfit: expected 0 to .*, found nan"),
    (dataset("controls/amounts", lambda v: v[:4]), r"controls/amounts has shape \(4, 2\), expected \(10, 2\)"),
    (dataset("calibration/presence", np.ones(2)), "lacks a calibration at 9 amounts with 3 coefficients"),
    (dataset("mean", np.arange(12)), "dataset mean: expected float32, found int64"),
    (attribute("shrinkage", np.nan), "attribute shrinkage: expected a finite number"),
    (attribute("shrinkage", None), "attribute shrinkage is missing"),
    (attribute("attributes", "x"), "attribute attributes: expected a object in JSON"),
    (attribute("attributes", "{}"), "lacks columns: the places of its 2 tissues"),
    (attribute("attributes", '{"columns": [1]}'), "lacks columns: the places of its 2 tissues"),
    (attribute("attributes", '{"columns": [1, 2]}'), "lacks background or background_composition"),
    (attribute("digest", None), "attribute digest is missing"),
]


def content(change: Callable[[dict[str, Any]], Any]) -> Edit:
    """Change the content of a checkpoint as one who knows of its digest."""

    def edit(path: Path) -> None:
        found = torch.load(path, weights_only=True)
        torch.save(change(found) or found, path)
        seal(path)

    return edit


def entry(*keys: Any) -> Edit:
    """Set an entry of the content: keys, then the value."""

    def change(found: dict[str, Any]) -> None:
        *parents, last, value = keys
        for key in parents:
            found = found[key]
        found[last] = value

    return content(change)


class _Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/methmix-was-here",)


def _in_itself(found: dict[str, Any]) -> None:
    found["record"]["recipe"] = {"again": found["record"]}


def _packed(path: Path) -> None:
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, part in parts.items():
            new.writestr(name, part)
    seal(path)


def _of_before_and_damaged(path: Path) -> None:
    """A checkpoint of before had no digest; the checksums of the archive show what torch does not look at."""
    found = torch.load(path, weights_only=True)
    torch.save({**found, "format_version": 2}, path)
    flipped(path)


def _without_digest(path: Path) -> None:
    torch.save(torch.load(path, weights_only=True), path)


_WEIGHT = "head.readout.weight"
_CHECKPOINT: list[tuple[Edit, str]] = [
    (entry("regions", [1, 2]), "regions: Input should be a valid dictionary, found list"),
    (entry("tissue_names", 3), "tissue_names: Input should be a valid list, found int 3"),
    (entry("tissue_names", ["A", "A", "B"]), "tissue_names: expected distinct names"),
    (entry("tissue_names", ["A", "B", "C"]), "tissues or regions were changed after training"),
    (content(lambda c: c["model"][_WEIGHT].view(-1)[:1].fill_(math.nan) and None), "has values that are not finite"),
    (content(lambda c: c["model"][_WEIGHT].view(-1)[:1].fill_(math.inf) and None), "has values that are not finite"),
    (content(lambda c: c["model"]["limits.factors"].view(-1)[:1].fill_(math.nan) and None), "not finite"),
    (entry("model", _WEIGHT, torch.zeros(1).expand(200_000, 200_000)), "expected a tensor with all its values"),
    (entry("model", _WEIGHT, torch.zeros(2, 48).double()), "the weights are not those of its sparse model"),
    (entry("model", _WEIGHT, torch.zeros(2, 49)), "the weights are not those of its sparse model"),
    (entry("model", _WEIGHT, [1.0]), "expected a tensor, found list"),
    (entry("model", _WEIGHT, torch.zeros(2, 48).to_sparse()), "expected a tensor|is damaged or not a checkpoint"),
    (content(lambda c: c["model"].pop(_WEIGHT) is None), "the weights are not those of its sparse model"),
    (entry("model", {}), "the weights are not those of its sparse model"),
    (entry("arm", "model", "head_size", 40_000), "its configuration has a layer of"),
    (entry("arm", "model", "head_size", 4 * 10**10), "model.head_size: .*less than or equal"),
    (entry("arm", "model", "depth", 3), "unknown key model.depth"),
    (entry("arm", {}), "arm"),
    (entry("format_version", 99), "format_version: expected 3, found 99"),
    (entry("format_version", torch.ones(3)), "format_version: expected 3"),
    (content(lambda c: c.pop("history") and None), "history is missing"),
    (content(lambda c: [c]), "format_version: expected 3, found None"),
    (entry("seed", -1), "seed: Input should be greater than or equal to 0"),
    (entry("seed", "one"), "seed: Input should be a valid integer"),
    (entry("step", 1.5), "step: Input should be a valid integer"),
    (entry("history", "none"), "history: Input should be a valid list"),
    (entry("identity", []), "identity: Input should be a valid dictionary"),
    (entry("record", {}), "record.n_parameters is missing"),
    (entry("record", "donors", {"Blood": [1]}), "record.donors.Blood: List should have at least 3 items"),
    (entry("record", "reference_notes", "{"), "record.reference_notes"),
    (content(_in_itself), "entries, more than the bound|is damaged or not a checkpoint"),
    (entry("regions", "chrom", [1] * 12), "regions.chrom.0: Input should be a valid string"),
    (entry("regions", "chrom", []), "regions.chrom: List should have at least 1 item"),
    (entry("regions", "start", torch.zeros(12)), "regions.start: expected torch.int64, 1 axis, found torch.float32"),
    (entry("regions", "start", torch.arange(11)), "regions.start: expected 12 values, found 11"),
    (entry("regions", "start", torch.arange(12) - 5), "regions.start: expected values from 0"),
    (entry("regions", "end", torch.zeros(12, dtype=torch.int64)), "a region ends before it begins"),
    (entry("regions", "mean_methylation", torch.full((12,), 2.0)), "expected values from 0 to 1"),
    (entry("regions", "least_correlation", math.nan), "regions.least_correlation"),
    (entry("reference_digest", "0"), "tissues or regions were changed after training"),
    (entry("genome", 38), "genome: Input should be a valid string"),
    (content(lambda c: {**c, "genome": _Payload()}), "it has objects that a checkpoint does not have"),
    (_packed, "its parts claim more than the file has"),
    (_of_before_and_damaged, "the checksum of its part .* does not hold|is damaged or not a checkpoint"),
    (_without_digest, "was changed after it was written: its digest is missing"),
    (cut, "is damaged or not a checkpoint"),
    (flipped, "is damaged: its digest does not hold"),
    (text(b""), "is damaged or not a checkpoint"),
    (text("no zip"), "is damaged or not a checkpoint"),
    (lambda path: path.unlink(), "no such checkpoint"),
]
_FOLDER: list[tuple[Edit, str]] = [
    (text("{"), "config.json: is damaged"),
    (text("[]"), "expected a JSON object"),
    (text('{"model_type": "bert"}'), "is not the configuration of a methmix model"),
    (text('{"a": ' + "[" * 100_000), "config.json: is damaged"),
    (lambda path: path.write_text(path.read_text().replace('"seed": 1', '"seed": 2')), "digest does not hold"),
    (
        lambda path: path.write_text(path.read_text().replace('weights_sha256": "', 'weights_sha256": "0')),
        "is not the file",
    ),
]
_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
_TINY = f"base: {fuzz_binary.ROOT}/config/tiny.yaml\nname: mine\n"
_YAML: list[tuple[Edit, str]] = [
    (text(_BOMB), "more than 20,000 values, aliases expanded"),
    (text("a: &a [*a]\n"), "an alias stands within what it stands for"),
    (text("a: " + "[" * 5000), "is not readable YAML"),
    (text("seed: " + "9" * 5000), "is not readable YAML: ValueError"),
    (text(_TINY + "seed: 99999999999999999999\n"), "a number of 64 bits"),
    (text("? [a, b]\n: 1\n"), "is not readable YAML"),
    (text("1: x\n"), "expected keys that are text, found 1"),
    (text("name: x\nreference:\n  source: a\n  source: b\n"), "line 4: duplicate key source, already set in line 3"),
    (text("name: d\xe9j\xe0".encode("latin-1")), "is not text in UTF-8"),
    (text("name: x".encode("utf-16")), "is not text in UTF-8"),
    (text("name: \0"), "is not readable YAML"),
    (text("name:\tx\n\t- y"), "is not readable YAML"),
    (text("- a\n- b\n"), "expected a mapping of keys, found list"),
    (text(""), "expected a mapping of keys, found NoneType"),
    (text("x: y\n" * 60_000), "configuration file: 300,000 bytes, more than the bound"),
    (text('x: !!python/object/apply:os.system ["true"]\n'), "is not readable YAML"),
    (text("x: !!python/name:os.system\n"), "is not readable YAML"),
    (text("x: !!binary aGVsbG8=\n"), "expected text, a number"),
    (text("x: !!set {a, b}\n"), "expected text, a number"),
    (text("__use_yte__: true\nname: ?1 + 1\n"), "line 1: __use_yte__: expressions in a configuration would be run"),
    (text(_TINY + "seed: .nan\n"), "seed: "),
    (text(_TINY + "seed: -1\n"), "seed: .*greater than or equal to 0, found -1"),
    (text(_TINY + "seed: 2020-01-01\n"), "seed: .*valid integer, found '2020-01-01'"),
    (text(_TINY + "reference: {n_donors: 1000000000}\n"), "n_donors: .* more than the bound of 5,000,000,000"),
    (text(_TINY + "mixtures: {n_test: 1000000000000}\n"), "mixtures.n_test: .*less than or equal to 1000000"),
    (text(_TINY + "name2: x\n"), "unknown key name2"),
    (text("base: experiment.yaml\n"), "is itself based on this file"),
    (text("base: /etc/passwd\n"), "base: expected a YAML file"),
    (text("base: none.yaml\n"), "base: expected a YAML file"),
    (is_folder, "is a folder, expected a configuration file"),
    (lambda path: path.unlink(), "there is no such configuration file"),
]
_JSON: list[tuple[Edit, str]] = [
    (text(""), "is damaged"),
    (text("[]"), "expected a JSON object"),
    (text('{"n_tissues": "three"}'), "n_tissues: expected a number"),
    (text('{"weather": 3}'), "weather: expected a number of its name"),
    (text(b"\xff\xfe{}"), "is damaged"),
    (text("[" * 100_000), "is damaged"),
]
_OF_TARGETS: dict[str, list[tuple[Edit, str]]] = {
    "reference.h5": _ANY_HDF5 + _REFERENCE,
    "mixtures.h5": _ANY_HDF5 + _MIXTURES,
    "normals.h5": _ANY_HDF5 + _PANEL,
    "checkpoint.pt": _CHECKPOINT,
    "config.json": _FOLDER,
    "experiment.yaml": _YAML,
    "validation_mixtures.json": _JSON,
}
CASES = [
    pytest.param(name, edit, message, id=f"{name}-{number}")
    for name, cases in _OF_TARGETS.items()
    for number, (edit, message) in enumerate(cases)
]


def test_there_are_enough_cases():
    assert len(CASES) >= 120


@pytest.mark.parametrize(("name", "edit", "message"), CASES)
def test_a_bad_file_ends_in_one_message(good, tmp_path, name, edit, message):
    path = tmp_path / name
    path.write_bytes(good(name))
    edit(path)
    with pytest.raises(InputError, match=message) as caught:
        TARGETS[name][1](path)
    said = str(caught.value)
    assert caught.value.exit_code == 2
    assert name in said and "Traceback" not in said
    # What to do stands in a line of its own.
    what, _, hint = said.rpartition("\n  ")
    if path.suffix == ".h5":
        assert re.search("python -m methmix|METHMIX_NO_SIZE_LIMITS", hint)
    assert (what and hint) or (name == "experiment.yaml" and not hint.startswith(" "))


@pytest.mark.parametrize("name", TARGETS)
def test_a_good_file_is_read_and_has_the_same_bytes_when_it_is_written_again(good, tmp_path, name):
    path = tmp_path / name
    TARGETS[name][0](path)
    assert path.read_bytes() == good(name)
    TARGETS[name][1](path)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reference.h5", ["methmix.reference", "report", "--output", "report.html", "--reference"]),
        ("checkpoint.pt", ["methmix.formats", "sample.cov", "--checkpoint"]),
        ("experiment.yaml", ["methmix.config"]),
    ],
)
def test_a_command_ends_with_code_2_and_without_a_traceback(tmp_path, monkeypatch, capsys, name, arguments):
    """What is damaged, at the command that a user types."""
    path = tmp_path / name
    TARGETS[name][0](path)
    cut(path)
    if name == "experiment.yaml":
        path.write_text(_BOMB)
    before = set(tmp_path.iterdir())
    module, *typed = arguments
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [module, *typed, str(path)])
    assert import_module(f"{module}.__main__").main() == 2
    said = capsys.readouterr().err
    # It writes to what was captured of this test.
    logging.getLogger().handlers.clear()
    assert re.fullmatch(rf"error: .*{name}.*\n  .*\n", said), said
    assert set(tmp_path.iterdir()) == before
