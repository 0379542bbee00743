"""Selection of regions: those that tell the tissues best."""

from dataclasses import replace

from methmix.files.reference import Reference
from methmix.least_squares import marker_weights
from methmix.reference.profiles import DonorSums, SpreadFunction


def select_markers(reference: Reference, per_tissue: int) -> Reference:
    """Keep of each tissue the regions that tell it best, as the donors of the train split show them.

    Parameters
    ----------
    reference
        Its donors are divided already: those of validation and test have no influence on what is kept.
    per_tissue
        Number of regions of each tissue; tissues may have some in common.
    """
    donors = (reference.fractions, reference.depth, list(reference.pool("train").values()))
    profiles = DonorSums(*donors, SpreadFunction(*donors)).all
    kept = (marker_weights(profiles, per_tissue) > 0).numpy()
    return replace(
        reference,
        methylated=reference.methylated[:, kept],
        depth=reference.depth[:, kept],
        regions=reference.regions[kept].reset_index(drop=True),
    )
