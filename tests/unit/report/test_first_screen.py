"""The first screen: its numbers are those of comparison.json, and it claims only what is known over donors."""

import copy

import pytest

from methmix.report.first_screen import answer, first_screen, opponents


def with_verdicts(comparison, *better):
    """Give the deciding metrics of sparse minus original intervals over donors, and a verdict."""
    content = copy.deepcopy(comparison)
    for name, verdict in zip(("mae", "spurious_per_mixture", "missed_per_mixture"), better, strict=True):
        content["sparse_minus_original"][name] |= {
            "better": verdict, "donors_mean": -0.02, "donors_ci95": [-0.03, -0.01]
        }  # fmt: skip
        content["arms"]["sparse"][f"{name}_donors_ci95"] = [0.001, 0.002]
    return content


def test_opponents_are_original_and_the_control_with_the_lowest_error(results):
    assert opponents(results) == ["original", "em"]
    assert opponents([result for result in results if result.arm != "sparse"]) == []


def test_without_donors_nothing_is_claimed(results, comparison):
    short, sentence = answer(comparison, "original")
    mae = [100 * comparison["arms"][arm]["mae"] for arm in ("sparse", "original")]
    assert short == "Not known for other donors."
    assert sentence.startswith("Here lower in error and false positives")
    assert f"MAE {mae[0]:.2f} % against {mae[1]:.2f} % on these mixtures" in sentence
    rows = first_screen(results, comparison, [])["rows"]
    assert {difference["interval"] for row in rows for difference in row["differences"]} == {"over donors: not known"}
    assert {interval for row in rows for _, interval in row["values"]} == {""}


@pytest.mark.parametrize(
    "verdicts, short, sentence",
    [
        (("sparse", "sparse", "sparse"), "Yes.", "Over donors better in error, false positives and missed tissues;"),
        (
            ("sparse", "no clear difference", "sparse"),
            "Yes.",
            "Over donors better in error and missed tissues; no clear difference in false positives;",
        ),
        (("sparse", "sparse", "original"), "In part.", "better in error and false positives; worse in missed tissues;"),
        (("original",) * 3, "No.", "Over donors worse in error, false positives and missed tissues;"),
        (("no clear difference",) * 3, "No clear difference.", "Over donors no clear difference in error, "),
        (("sparse", "not known", "sparse"), "Not known for other donors.", "Here lower in error"),
    ],
)
def test_intervals_over_donors_decide(comparison, verdicts, short, sentence):
    found = answer(with_verdicts(comparison, *verdicts), "original")
    assert found[0] == short and sentence in found[1]


def test_numbers_of_the_table(results, comparison):
    content = with_verdicts(comparison, "sparse", "sparse", "original")
    first = first_screen(results, content, ["a flag"])
    assert first["arms"] == ["sparse", "original", "em"] and first["opponents"] == ["original", "em"]
    rows = {row["name"]: row for row in first["rows"]}
    arms = content["arms"]
    assert [value for value, _ in rows["mae"]["values"]] == [f"{100 * arms[a]['mae']:.2f} %" for a in first["arms"]]
    assert [interval for _, interval in rows["mae"]["values"]] == ["0.10 % to 0.20 %", "", ""]
    # Over donors the mean of the draws, else the difference on these mixtures.
    assert rows["mae"]["differences"][0] == {
        "value": "-2.00 %", "interval": "-3.00 % to -1.00 %", "better": "sparse"
    }  # fmt: skip
    estimate = content["sparse_minus_em"]["mae"]["estimate"]
    assert rows["mae"]["differences"][1]["value"] == f"{100 * estimate:.2f} %"
    assert rows["missed_per_mixture"]["differences"][0]["better"] == "original"
    coverage = rows["interval_coverage_present"]
    assert [value for value, _ in coverage["values"]] == [
        f"{100 * arms['sparse']['interval_coverage_present']:.2f} %", "none", "none"
    ]  # fmt: skip
    assert first["flags"][-1] == "a flag"


def test_safety_names_the_lowest_coverage(results, comparison):
    first = first_screen(results, comparison, [])
    question, _, safety = first["answers"][-1]
    of_sparse = comparison["arms"]["sparse"]
    assert question == "Safe?"
    assert safety.startswith(
        f"{of_sparse['spurious_per_mixture']:.2f} false positives and {of_sparse['missed_per_mixture']:.2f} missed"
    )
    assert "90 % intervals cover" in safety and " at depth 10" in safety
    assert any("cover less than 90 %" in flag for flag in first["flags"])


def test_arms_without_sparse_are_shown_without_answers(results, comparison):
    others = [result for result in results if result.arm in ("original", "nnls")]
    first = first_screen(others, comparison, [])
    assert first["arms"] == ["original", "nnls"] and first["answers"] == first["opponents"] == []
