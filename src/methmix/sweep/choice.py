"""What the trainings of a sweep reached on validation, and which point is recommended. No test mixture has a part."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.config.load import to_yaml
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.report.arm_results import read_result
from methmix.sweep.points import Point, SweptArm, setting_text

# Of the validation mixtures at the epoch with the lowest error; `val/<name>` in the training log.
MEASURED = ("mae", "spurious_per_mixture", "missed_per_mixture", "predicted_tissues", "presence_accuracy")
# A point has failed, as one that calls nothing, if its mean MAE is more than so many times the lowest.
_FAILED = 4.0
_REMEDY = "train the points: snakemake sweep_phase2"

RULE = (
    "Of the points whose mean false positives on validation are not above those of the shipped setting, the one with "
    "the lowest mean validation MAE is best. Of those within one standard error of it, the one with the fewest changed "
    "keys is recommended; the shipped setting changes none."
)


def read_runs(runs: list[Path], points: list[Point]) -> pd.DataFrame:
    """Read what every training reached: a row per point and run.

    Parameters
    ----------
    runs
        Folders ``results/<name>/<phase>``.
    points
        The points, each trained in every run.

    Returns
    -------
    pandas.DataFrame
        ``point``, ``run``, ``seed``, the chosen ``epoch``, its values in `MEASURED`, and the ``seconds`` of training.
    """
    rows = []
    columns = ["epoch", "seconds", *(f"val/{name}" for name in MEASURED)]
    for point in points:
        for run in runs:
            logs = run / point.folder / "logs"
            log = read_result(logs / "training_log.csv", _REMEDY, columns)
            best = log.loc[log["val/mae"].idxmin()]
            seed = read_result(logs / "training_record.json", _REMEDY)["seed"]
            row = {"point": point.name, "run": run.parent.name, "seed": seed, "epoch": int(best["epoch"])}
            rows.append({**row, **{name: best[f"val/{name}"] for name in MEASURED}, "seconds": log["seconds"].sum()})
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame, swept: SweptArm, points: list[Point]) -> pd.DataFrame:
    """Summarise the rows of `read_runs` over seeds: a row per point.

    The columns are ``point``, the keys of the sweep, ``changed`` (how many keys differ from the shipped setting),
    ``seeds``, ``<metric>_mean`` and ``_sd`` (NaN with one seed) of each in `MEASURED`, ``admissible`` (false positives
    not above those of the shipped point) and ``on_front`` (no other point has both fewer false positives and fewer
    missed tissues).
    """
    by_point = table.groupby("point", sort=False)[list(MEASURED)]
    found = by_point.mean().add_suffix("_mean").join(by_point.std(ddof=1).add_suffix("_sd"))
    # In the order of the metrics, each with its spread.
    found = found[[f"{name}_{part}" for name in MEASURED for part in ("mean", "sd")]]
    settings = pd.DataFrame([swept.values(point) for point in points], index=[p.name for p in points], dtype=object)
    settings["changed"] = [len(point.changes) for point in points]
    settings["seeds"] = table.groupby("point").size()
    whole = settings.join(found)
    false_positives = whole["spurious_per_mixture_mean"]
    whole["admissible"] = false_positives <= false_positives[swept.shipped.name]
    whole["on_front"] = on_front(whole[["spurious_per_mixture_mean", "missed_per_mixture_mean"]].to_numpy(dtype=float))
    return whole.rename_axis("point").reset_index()


def on_front(errors: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Find the rows of ``errors`` [n, n_errors] that no other row dominates: as low in every error, lower in one."""
    as_low = (errors[:, None] <= errors[None]).all(axis=2)
    lower = (errors[:, None] < errors[None]).any(axis=2)
    return np.logical_not((as_low & lower).any(axis=0))


def succeeded(mae: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Mark the points, of mean MAE ``mae`` [n_points], that have not failed."""
    errors = np.asarray(mae, dtype=float)
    marks: npt.NDArray[np.bool_] = errors <= _FAILED * errors.min()
    return marks


def standard_error(table: pd.DataFrame) -> float:
    """Estimate the standard error of the difference between the mean MAE of two points; NaN with one seed or point.

    Points and seeds form a two-way layout: all points share the donors and mixtures of a seed. What remains of the MAE
    beside their effects is pooled over points, as a few seeds of two points alone hardly give a standard deviation:
    sqrt(2 / n_seeds) times the residual standard deviation, with (n_points - 1) (n_seeds - 1) degrees of freedom.
    Points that have failed are left out: one seed of these can differ by more than all others together.
    """
    mae = table.pivot_table(index="point", columns="run", values="mae").to_numpy(dtype=float)
    mae = mae[succeeded(mae.mean(axis=1))]
    n_points, n_seeds = mae.shape
    freedom = (n_points - 1) * (n_seeds - 1)
    if not freedom:
        return float("nan")
    residual = mae - mae.mean(axis=1, keepdims=True) - mae.mean(axis=0, keepdims=True) + mae.mean()
    return float(np.sqrt(2 / n_seeds * (residual**2).sum() / freedom))


def recommended(whole: pd.DataFrame, error: float) -> str:
    """Name the point that `RULE` recommends, given the `summary` and the `standard_error`; NaN counts as 0."""
    admissible = whole[whole["admissible"]]
    as_good = admissible[admissible["mae_mean"] <= admissible["mae_mean"].min() + np.nan_to_num(error)]
    return str(as_good.sort_values(["changed", "mae_mean"], kind="stable").iloc[0]["point"])


@all_or_none()
def choose(swept: SweptArm, points: list[Point], runs: list[Path], output: Path) -> None:
    """Choose on validation, and write ``runs.csv``, ``points.csv``, ``choice.json`` and ``recommended.yaml``.

    ``experiment.yaml`` is what the recommended configuration is trained with.
    """
    table = read_runs(runs, points)
    whole, error = summary(table, swept, points), standard_error(table)
    name = recommended(whole, error)
    whole["shipped"], whole["recommended"] = whole["point"] == swept.shipped.name, whole["point"] == name
    point = next(point for point in points if point.name == name)
    keys = list(swept.sweep.search.varied)
    write_csv(
        output / "runs.csv", table.merge(whole[["point", *keys]], on="point")[["point", *keys, *table.columns[1:]]]
    )
    write_csv(output / "points.csv", whole)
    _write_recommended(swept, point, output)
    content = {
        "rule": RULE,
        "recommended": {"point": name, "folder": point.folder, "changes": point.changes},
        "shipped": {"point": swept.shipped.name, "folder": swept.shipped.folder},
        "standard_error": None if np.isnan(error) else error,
        "seeds": len(runs),
    }
    write_text(output / "choice.json", json.dumps(content, indent=2) + "\n")


def _write_recommended(swept: SweptArm, point: Point, output: Path) -> None:
    """Write the arm in full, so that it depends on no other file but its experiment, which lies beside it."""
    experiment = output / "experiment.yaml"
    # The arm has the overrides already, and they would undo what a point changes in the same key.
    write_text(experiment, to_yaml(swept.experiment.model_copy(update={"overrides": {}})))
    own = {"experiment": str(experiment), "output": str(output / "recommended")}
    arm = swept.settings(point.changes).model_copy(update=own)
    file = swept.experiment.arms[swept.phase][point.arm]
    shipped = swept.values(swept.shipped)
    changes = [
        f"#   {key}: {setting_text(value)} (there {setting_text(shipped[key])})" for key, value in point.changes.items()
    ]
    what = f"{file} with" if changes else f"{file} as it is"
    head = f"# Recommended on validation by {swept.path} in {swept.experiment.name}: {what}"
    write_text(output / "recommended.yaml", "\n".join([head, *changes, to_yaml(arm)]))
