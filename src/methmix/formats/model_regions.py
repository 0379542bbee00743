"""The regions of a model, as its checkpoint has them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from methmix.formats.regions import Measure, Modification, RegionSet


def region_set(regions: Mapping[str, Any], genome: str, reference_digest: str | None) -> RegionSet:
    """Collect the regions of a model, to which samples are aligned, of what its checkpoint has of them."""
    names = ("start", "end", "start_cpg", "end_cpg")
    columns: dict[str, Any] = {name: regions[name].numpy() if name in regions else None for name in names}
    return RegionSet(
        regions["chrom"],
        genome=genome,
        measure=cast(Measure, regions.get("measure", "cpg")),
        reference_digest=reference_digest,
        modification=cast(Modification, regions.get("modification", "5mC+5hmC")),
        **columns,
    )


def read_model_regions(path: Path) -> tuple[RegionSet, Mapping[str, Any]]:
    """Read the regions of a checkpoint, and all that it has of them; the model is not built."""
    from methmix.files.checkpoint_file import read_checkpoint_file  # torch is heavy, and not needed to read samples

    content = read_checkpoint_file(path)
    regions, weights = content["regions"], content["model"]
    if "backbone.mean" in weights:  # models of before that was recorded
        regions = {"mean_methylation": weights["backbone.mean"].mean(dim=0), **regions}
    return region_set(regions, content["genome"], content["identity"].get("reference")), regions
