"""The page of a sweep, and the confirmation on test, which has no part in the choice."""

import json
import re

import numpy as np
import pytest
from experiments import random_proportions, write_evaluation

from methmix.sweep.choice import choose
from methmix.sweep.sweep_page import confirmation, write_sweep_page

ERRORS = [0.0030, 0.0020, 0.0034, 0.0040]


@pytest.fixture
def finished(grid, tmp_path, write_training):
    """A sweep of two runs, in which the second point is recommended; its test error is half of the shipped one's."""
    runs = [tmp_path / "results" / name / "phase2" for name in ("default", "default-seed2")]
    for seed, run in enumerate(runs, start=1):
        true, predicted = random_proportions(seed=seed)
        for point, error in zip(grid.planned, ERRORS, strict=True):
            write_training(run / point.folder, error + 1e-4 * seed, 0.1, 0.5, seed)
        for point, part in ((grid.planned[0], 1.0), (grid.planned[1], 0.5)):
            answer = true + part * (predicted - true)
            write_evaluation(run / point.folder / "evaluation", answer, true, seed)
    choose(grid, grid.planned, runs, tmp_path)
    return runs, tmp_path


def test_page_stands_alone_and_states_the_recommendation(grid, finished):
    runs, output = finished
    write_sweep_page(grid, runs, output)
    page = (output / "sweep.html").read_text()
    assert "loss.sparsity_weight: 0.05" in page and f"--config {output / 'recommended.yaml'}" in page
    assert page.count('src="data:image/png;base64,') == 3 and not re.search(r'(src|href)="(http|/|\.)', page)
    assert page.count("<tr>") + page.count("<tr class") == 1 + 3 + 1 + 4
    for name in ("front", "map", "parallel"):
        assert (output / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("width", [1400, 420])
def test_no_row_of_the_table_is_hidden_on_paper_and_the_page_does_not_scroll_sideways(
    swept_by, tmp_path, write_training, browser, width
):
    weights, keys = [0.5 + n for n in range(20)], {"training.learning_rate": 0.003, "model.dropout": 0.3}
    points = [{"loss.presence_weight": weight, "loss.sparsity_weight": 0.05, **keys} for weight in weights]
    swept = swept_by({"seeds": 1, "search": {"kind": "list", "points": points}})
    run = tmp_path / "results" / "default" / "phase2"
    true, predicted = random_proportions()
    for point in swept.planned:
        write_training(run / point.folder, 0.002, 0.1, 0.5)
    write_evaluation(run / "sparse" / "evaluation", predicted, true)
    choose(swept, swept.planned, [run], tmp_path)
    write_sweep_page(swept, [run], tmp_path)
    with browser.new_context(viewport={"width": width, "height": 900}) as context:
        context.set_default_timeout(300_000)
        page = context.new_page()
        page.goto((tmp_path / "sweep.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        # A4 without its margins.
        page.set_viewport_size({"width": 703, "height": 1050})
        page.emulate_media(media="print")
        table = page.evaluate(
            "(e => [e.scrollHeight, e.clientHeight, e.scrollWidth])(document.querySelectorAll('.scroll')[1])"
        )
        assert table[0] == table[1] > 21 * 10 and table[2] <= 703


def test_confirmation_is_of_all_test_mixtures(grid, finished):
    runs, output = finished
    found = confirmation(json.loads((output / "choice.json").read_text()), runs, grid)
    expected = [np.abs(np.subtract(*random_proportions(seed=seed))).mean() for seed in (1, 2)]
    assert found["shipped"]["mae"] == pytest.approx(np.mean(expected))
    assert found["recommended"]["mae"] == pytest.approx(np.mean(expected) / 2)
    difference = found["difference"]["mae"]
    assert difference["estimate"] == pytest.approx(-np.mean(expected) / 2) == difference["donors_mean"]
    assert difference["ci95"][0] < difference["estimate"] < difference["ci95"][1] < 0
    # Student's t with one degree of freedom: 12.7 standard errors, here half of the range.
    half = abs(expected[1] - expected[0]) / 2 / 2
    assert difference["donors_ci95"][1] - difference["donors_mean"] == pytest.approx(12.706 * half, rel=1e-3)


def test_test_mixtures_do_not_choose(grid, finished, tmp_path):
    """A point whose test errors are turned around is recommended all the same."""
    runs, output = finished
    before = (output / "choice.json").read_text()
    metrics = runs[0] / grid.planned[1].folder / "evaluation" / "metrics.json"
    metrics.write_text(json.dumps({**json.loads(metrics.read_text()), "mae": 0.9}))
    choose(grid, grid.planned, runs, output)
    assert (output / "choice.json").read_text() == before


def test_the_shipped_setting_stays(grid, finished):
    runs, output = finished
    content = json.loads((output / "choice.json").read_text())
    content["recommended"] = {**content["shipped"], "changes": {}}
    (output / "choice.json").write_text(json.dumps(content))
    write_sweep_page(grid, runs, output)
    page = (output / "sweep.html").read_text()
    assert "The shipped setting, as it is" in page and "shipped, recommended" in page
    assert json.loads((output / "test.json").read_text())["difference"] == {}


def test_a_single_seed(grid, finished):
    """There is no interval over seeds, and the page says that differences may be chance."""
    runs, output = finished[0][:1], finished[1]
    choose(grid, grid.planned, runs, output)
    write_sweep_page(grid, runs, output)
    found = json.loads((output / "test.json").read_text())["difference"]["mae"]
    assert found.keys() == {"estimate", "ci95"} and found["ci95"][1] < 0
    page = (output / "sweep.html").read_text()
    assert "With one seed, differences between points cannot be distinguished from chance" in page
    assert "Student" not in page
