"""The whole benchmark at a toy size. No time is tested, only what is made of it."""

import json
import pickle

import pytest
import torch
from experiments import ROOT, TINY, undrawn

from methmix.benchmark import measure as module
from methmix.benchmark.measure import checks, measure, number, page

pytestmark = pytest.mark.slow

QUANTITIES = [
    "original: step / its matrix products",
    "sparse: step / its matrix products",
    "original: mixing and reads / step",
    "sparse: mixing and reads / step",
    "batched nnls: speed / scipy.optimize.nnls in a loop",
    "batched nnls: largest difference from scipy.optimize.nnls",
    "original: step, time for twice the regions",
    "sparse: step, time for twice the regions",
    "original: drawing mixtures, time for twice the regions",
    "sparse: drawing mixtures, time for twice the regions",
    "write: additional memory per additional byte of mixtures",
    "nnls: additional memory per additional byte of mixtures",
    "train original: peak memory, MB",
    "train sparse: peak memory, MB",
]


def here(function, *arguments):
    """Run in this process what would be sent to another one."""
    return pickle.loads(pickle.dumps(function))(*pickle.loads(pickle.dumps(arguments)))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    with undrawn(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(module, "apart", here)
        made = measure(TINY, 1, 12, (1, 0.5), torch.device("cpu"), folder)
    assert not list(folder.iterdir())
    return json.loads(json.dumps({"mode": "quick", **made}))


def test_every_check_is_there(content):
    assert [check["quantity"] for check in content["checks"]] == QUANTITIES
    for check in content["checks"]:
        assert set(check) == {"measurement", "quantity", "measured", "relation", "target", "met"}
        assert check["measured"] >= 0
    for key in ("machine", "mode", "seconds", "sizes"):
        assert content[key]


def test_numbers_are_of_what_was_measured(content):
    assert content["sizes"] == {
        "tissues": 8,
        "regions": 600,
        "donors": 32,
        "batch_size": {"original": 125, "sparse": 125},
    }
    for arm, step in content["training_step"].items():
        assert all(rate > 0 for rates in step["mixtures_per_second"].values() for rate in rates.values())
        assert set(step["mixtures_per_second"]["1"]) == {"drawing", "training"}
        assert content["scaling"][arm]["regions"] == [300, 600]
        small, large = content["scaling"][arm]["seconds"]["training"]
        assert content["scaling"][arm]["growth"] == pytest.approx(large / small)
        assert step["mixtures_per_second"]["1"]["training"] == pytest.approx(step["batch_size"] / large)
        assert 100 < content["memory"][f"train_{arm}"]["peak_mb"] < 4096
    nnls = content["nnls"]["batched_nnls"]
    per_second = nnls["mixtures_per_second"]
    assert nnls["largest_difference"] < 1e-6
    assert nnls["speed_over_scipy"] == pytest.approx(per_second["batched"] / per_second["scipy"])
    for name in ("write", "nnls"):
        streamed = content["memory"][name]
        (small, large), (first, last) = streamed["file_mb"], streamed["resident_mb"]
        assert streamed["growth_per_byte"] == pytest.approx(max(last - first, 0) / (large - small))
        assert small > 1000 * 300 * 6 / 2**20


def test_a_missed_target_is_shown_as_missed(content):
    content = json.loads(json.dumps(content))
    content["training_step"]["sparse"]["step_over_products"] = 1.61
    content["training_step"]["original"]["step_over_products"] = 1.6
    content["nnls"]["batched_nnls"]["speed_over_scipy"] = 49.9
    content["checks"] = table = checks(content)
    met = {check["quantity"]: check["met"] for check in table}
    assert met["original: step / its matrix products"]
    assert not met["sparse: step / its matrix products"]
    assert not met["batched nnls: speed / scipy.optimize.nnls in a loop"]
    assert met["train sparse: peak memory, MB"]
    shown = page(content)
    assert shown.count(">missed<") == sum(not check["met"] for check in table)
    assert shown.count(">met<") == sum(check["met"] for check in table)
    assert f"{sum(met.values())} of {len(table)} targets met" in shown
    assert "No GPU was used" in shown
    assert shown.count('src="data:image/png') == 2
    assert "://" not in shown


def test_the_page_shows_mixtures_per_second(content):
    shown = page(content)
    for step in content["training_step"].values():
        for rates in step["mixtures_per_second"].values():
            assert f"<td>{number(rates['drawing'])}</td><td>{number(rates['training'])}</td>" in shown


def test_numbers_have_three_significant_digits():
    assert [number(value) for value in (1.6042, 7.3e-9, 51089.4, 0, 0.30)] == ["1.6", "7.3e-09", "51,089", "0", "0.3"]
