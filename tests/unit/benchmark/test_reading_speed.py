"""The benchmark of reading, at a thousandth of its size."""

import json

from methmix.benchmark.reading_speed import AIMS, measure_reading


def test_each_way_to_read_is_timed(tmp_path):
    found = measure_reading(tmp_path / "out", 0.001)
    assert found.keys() == AIMS.keys()
    assert all(of["cpu_seconds"] > 0 and 50 < of["memory_mib"] < 1000 for of in found.values())
    assert json.loads((tmp_path / "out" / "reading.json").read_text()) == {"fraction": 0.001, **found}
