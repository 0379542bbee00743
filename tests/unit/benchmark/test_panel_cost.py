"""The benchmark of a panel of normals, at a thousandth of its size."""

import json

import pytest

from methmix.benchmark.panel_cost import measure_panel

pytestmark = pytest.mark.slow


def test_making_and_comparing_are_timed(tmp_path):
    found = measure_panel(tmp_path / "out", 0.001)
    assert found["making_cpu_seconds"] > 0 and found["samples_cpu_seconds"] > 0
    assert found["making_memory_mib"] > 50 and found["samples_memory_mib"] > 50
    assert json.loads((tmp_path / "out" / "panel.json").read_text()) == {"fraction": 0.001, **found}
