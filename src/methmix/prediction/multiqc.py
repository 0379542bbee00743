"""The samples of a prediction as custom content of MultiQC: a bar plot, and columns of the general statistics."""

from typing import Any

from methmix.prediction.statement import STATEMENT

# Ends of the names of the files, by which MultiQC finds them.
PROPORTIONS, GENERAL = "_mqc.json", "_general_stats_mqc.json"
_COLUMNS: dict[str, dict[str, Any]] = {
    "largest": {"title": "Largest", "description": "tissue with the largest proportion", "scale": False},
    "called": {"title": "Tissues", "description": "tissues with a proportion above 0", "format": "{:,d}"},
    "observed": {
        "title": "Regions",
        "description": "regions of the model in which the sample has reads",
        "suffix": "%",
        "min": 0,
        "max": 100,
    },
    "depth": {"title": "Depth", "description": "mean reads in the observed regions", "format": "{:,.1f}"},
    "effect": {"title": "Misfit", "description": "effect size of the goodness of fit; 1 is usual", "format": "{:,.2f}"},
    "verdict": {"title": "Fit", "description": "fits, shifted (like its laboratory) or odd", "scale": False},
}


def multiqc_files(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Make the content of each file, by the end of its name, from the record of a prediction (`output.record_of`).

    Proportions are in percent. A sample without estimates is in the general statistics alone.
    """
    samples = record["samples"]
    answered = [sample for sample in samples if sample["answered"]]
    bars = {
        sample["sample"]: {name: 100 * known["proportion"] for name, known in sample["proportions"].items()}
        for sample in answered
    }
    plot = {
        "id": "methmix_proportions",
        "section_name": "methmix: tissue proportions",
        "description": f"Proportions of tissues, estimated from DNA methylation. {STATEMENT}",
        "plot_type": "bargraph",
        "pconfig": {
            "id": "methmix_proportions_plot",
            "title": "methmix: tissue proportions",
            "ylab": "Proportion (%)",
            "cpswitch": False,
            "ymax": 100,
        },
        "data": bars,
    }
    general = {
        "id": "methmix",
        "plot_type": "generalstats",
        "headers": _COLUMNS,
        "data": {sample["sample"]: _of(sample) for sample in samples},
    }
    return {PROPORTIONS: plot, GENERAL: general}


def _of(sample: dict[str, Any]) -> dict[str, Any]:
    """Collect what the general statistics show of a sample; what is not known is left out."""
    proportions = {name: known["proportion"] for name, known in sample["proportions"].items()}
    values = {
        "largest": max(proportions, key=proportions.__getitem__) if proportions else None,
        "called": sum(value > 0 for value in proportions.values()) if proportions else None,
        "observed": 100 * sample["regions"]["observed"] / sample["regions"]["model"],
        "depth": sample["mean_depth"],
        "effect": sample["fit"]["effect"],
        "verdict": sample["fit"]["verdict"],
    }
    return {name: value for name, value in values.items() if value is not None}
