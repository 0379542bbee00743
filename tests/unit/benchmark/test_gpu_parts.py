"""Parts that fail, that are left out and that run out of time, and what is known then."""

import math
import time

import pytest

from methmix.benchmark.gpu_parts import Account, Deadline, Finding, Found, NotMeasuredError, Part


def measured(*parts, seconds=60.0):
    account, states = Account(parts), []
    account.measure(Deadline(seconds), lambda: states.append({name: p["outcome"] for name, p in account.parts.items()}))
    return account, states


def right():
    return Found({"seconds": 2.0}, {"close": Finding(0.1, 0.2, "close by")})


def wrong():
    raise MemoryError("out of\n  memory")


def slow():
    end = time.monotonic() + 30
    while time.monotonic() < end:
        time.sleep(0.01)
    return Found({})


@pytest.mark.parametrize(
    ("finding", "outcome"),
    [
        (Finding(1.0, 1.0), "passed"),
        (Finding(1.1, 1.0), "failed"),
        (Finding(1.0, 1.0, least=True), "passed"),
        (Finding(0.9, 1.0, least=True), "failed"),
        (Finding(math.nan, 1.0), "failed"),
        (Finding(math.nan, 1.0, least=True), "failed"),
        (Finding(None, 1.0), "not measured"),
    ],
)
def test_a_figure_keeps_its_limit_or_has_failed(finding, outcome):
    assert finding.outcome == outcome


def test_a_part_that_fails_stops_no_other_and_fails_its_checks():
    account, states = measured(
        Part("one", wrong, {"far": "far things"}), Part("two", right, {"close": "close things", "left": "left things"})
    )
    assert states[0] == {"one": "not measured", "two": "not measured"}
    assert states[-1] == {"one": "failed", "two": "done"}
    assert account.parts["one"]["message"] == "MemoryError: out of memory"
    assert account.checks["far"]["outcome"] == "failed" and "out of memory" in account.checks["far"]["note"]
    assert account.checks["close"] == {
        "compared": "close things",
        "figure": 0.1,
        "relation": "<=",
        "limit": 0.2,
        "outcome": "passed",
        "note": "close by",
    }
    # Of what a part does not find nothing is claimed.
    assert account.checks["left"]["outcome"] == "not measured"
    assert account.measured == {"two": {"seconds": 2.0}}
    assert account.failed == ["one", "far"]


def test_a_check_that_fails_is_a_failure():
    account, _ = measured(Part("one", lambda: Found({}, {"far": Finding(math.inf, 1.0)}), {"far": "far things"}))
    assert account.failed == ["far"]
    assert account.checks["far"]["figure"] is None


def test_a_part_that_cannot_be_measured_is_no_failure():
    def impossible():
        raise NotMeasuredError("it needs a GPU")

    account, _ = measured(Part("one", impossible, {"far": "far things"}))
    assert account.failed == []
    assert account.parts["one"]["message"] == account.checks["far"]["note"] == "it needs a GPU"
    assert account.checks["far"]["outcome"] == "not measured"


def test_time_that_runs_out_ends_a_part_in_its_middle_and_begins_no_other():
    begun = time.monotonic()
    account, states = measured(
        Part("one", right, {"close": "close things"}, seconds=0), Part("two", slow, seconds=0), Part("three", wrong),
        seconds=3.0,
    )  # fmt: skip
    assert time.monotonic() - begun < 20
    assert states[-1] == {"one": "done", "two": "not measured", "three": "not measured"}
    assert "the time was over" in account.parts["two"]["message"]
    assert account.parts["three"]["message"] == "0 s were left, it takes at least 1"
    assert account.checks["close"]["outcome"] == "passed"
    assert account.failed == []


def test_the_clock_stops_with_its_part():
    measured(Part("one", right), seconds=1.2)
    time.sleep(1.3)
