"""The first screen of the comparison: whether sparse is better, by how much, and whether it is safe."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from methmix import metrics
from methmix.arms import BASELINE, MAIN, names
from methmix.pages.wording import between, in_unit, percent, plural
from methmix.report.arm_results import ArmResult, serious
from methmix.report.interval_figures import coverage_by_class
from methmix.report.metric_labels import LABELS, Label, chosen

# What decides which arm is better.
_DECIDING = chosen("mae", "spurious_per_mixture", "missed_per_mixture")
_COMPARED = chosen("mae", "spurious_per_mixture", "missed_per_mixture", "false_mass", "called_1_to_5")
_COVERAGE = chosen("interval_coverage_present", "interval_coverage_absent")
# How a sentence names a metric that is lower.
_NOUNS = {"mae": "error", "spurious_per_mixture": "false positives", "missed_per_mixture": "missed tissues"}


def opponents(results: list[ArmResult]) -> list[str]:
    """Name the arms that sparse is compared with: original, and the control with the lowest MAE on these mixtures."""
    errors = {result.arm: result.metrics["mae"] for result in results}
    if MAIN not in errors:
        return []
    controls = [arm for arm in names("control") if arm in errors]
    # Chosen on the test mixtures, which favours the control.
    return [arm for arm in (BASELINE,) if arm in errors] + sorted(controls, key=errors.__getitem__)[:1]


def first_screen(results: list[ArmResult], comparison: dict[str, Any], flags: Sequence[str]) -> dict[str, Any]:
    """Make the first table and its answers.

    ``comparison`` is the content of comparison.json; ``flags`` are what else a reader must know of these data. Gives
    ``arms`` and ``opponents``, the columns of the table; its ``rows``; ``answers``: question, answer in short, and
    in a sentence; and all ``flags``.
    """
    others = opponents(results)
    arms = [MAIN, *others] if others else [result.arm for result in serious(results)[:3]]
    by_name = {result.arm: result for result in results}
    rows = [_row(label, name, [comparison["arms"][arm] for arm in arms]) for name, label in _COMPARED.items()]
    for row in rows:
        pairs = [comparison[f"{MAIN}_minus_{other}"] for other in others]
        row["differences"] = [_difference(pair[row["name"]], row["label"].unit) for pair in pairs]
    answers = [
        (f"Better than {other}{'' if other == BASELINE else ', the best control'}?", *answer(comparison, other))
        for other in others
    ]
    if MAIN in by_name:
        safety, low = _safety(by_name[MAIN], comparison["arms"][MAIN])
        answers.append(("Safe?", "", safety))
        flags = [*low, *flags]
    if any(f"{name}_ci95" in comparison["arms"][arm] for name in _COVERAGE for arm in arms):
        rows += [_row(label, name, [comparison["arms"][arm] for arm in arms]) for name, label in _COVERAGE.items()]
    return {"arms": arms, "opponents": others, "rows": rows, "answers": answers, "flags": list(flags)}


def answer(comparison: dict[str, Any], other: str) -> tuple[str, str]:
    """Say whether sparse is better than another arm, in short and in a sentence.

    Only intervals over donors decide. Where they are not known, nor is the answer, and the sentence is of these
    mixtures alone.
    """
    pair, ours, theirs = comparison[f"{MAIN}_minus_{other}"], comparison["arms"][MAIN], comparison["arms"][other]
    verdicts = {name: pair[name]["better"] for name in _DECIDING}
    amount = f"MAE {in_unit(ours['mae'], '%')} against {in_unit(theirs['mae'], '%')} on these mixtures"
    if "not known" in verdicts.values():
        signs = {name: np.sign(pair[name]["estimate"] or 0) for name in _DECIDING}
        return (
            "Not known for other donors.",
            f"Here {_listed(signs, {-1: 'lower in', 1: 'higher in', 0: 'equal in'})}; {amount}.",
        )
    found = {verdict for verdict in verdicts.values() if verdict != "no clear difference"}
    short = {(): "No clear difference.", (MAIN,): "Yes.", (other,): "No."}.get(tuple(found), "In part.")
    kinds = {MAIN: "better in", "no clear difference": "no clear difference in", other: "worse in"}
    return short, f"Over donors {_listed(verdicts, kinds)}; {amount}."


def _listed(found: dict[str, Any], kinds: dict[Any, str]) -> str:
    by_kind = {kind: [_NOUNS[name] for name, value in found.items() if value == kind] for kind in kinds}
    return "; ".join(f"{kinds[kind]} {_and(which)}" for kind, which in by_kind.items() if which)


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _row(label: Label, name: str, arms: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the row of a metric: of each arm its value, and its interval over donors where that is known."""
    values = [
        (in_unit(of_arm[name], label.unit), _known(of_arm.get(f"{name}_donors_ci95"), label.unit))
        if name in of_arm
        else ("none", "")
        for of_arm in arms
    ]
    return {"name": name, "label": label, "values": values, "differences": []}


def _known(ends: Sequence[float | None] | None, unit: str) -> str:
    return "" if ends is None or None in ends else between(ends, unit)


def _difference(entry: dict[str, Any], unit: str) -> dict[str, str]:
    """Write a difference: the mean of the draws of donors where there are several, else that on these mixtures."""
    value = entry.get("donors_mean", entry["estimate"])
    sign = "+" if value is not None and value > 0 else ""
    over_donors = _known(entry.get("donors_ci95"), unit) or "over donors: not known"
    return {"value": f"{sign}{in_unit(value, unit)}", "interval": over_donors, "better": entry.get("better", "")}


def _safety(main: ArmResult, of_main: dict[str, Any]) -> tuple[str, list[str]]:
    """Say how often sparse is wrong, and how often its intervals contain the truth; and give flags."""
    said = [
        f"{of_main[name]:.2f} {LABELS[name].short if name != 'missed_per_mixture' else 'missed tissues'}"
        for name in ("spurious_per_mixture", "missed_per_mixture")
    ]
    text, level = f"{_and(said)} per mixture", metrics.INTERVAL_LEVEL
    if np.isnan(main.low).all():
        return f"{text}; no intervals.", ["sparse has no intervals"]
    depths, classes, coverage = coverage_by_class(main, metrics.covered(main.true, main.low, main.high))
    text += (
        f"; {percent(level)} intervals cover {percent(of_main['interval_coverage_present'], 0)} of the present tissues"
    )
    if np.isnan(coverage).all():
        return f"{text}.", []
    row, column = np.unravel_index(np.nanargmin(coverage), coverage.shape)
    where = f"{classes[column]} at depth {depths[row]}"
    below = int((coverage < level).sum())
    flags = [f"intervals cover less than {percent(level)} in {plural(below, 'combination')} of proportion and depth"]
    return f"{text}, at worst {percent(coverage[row, column], 0)} ({where}).", flags if below else []
