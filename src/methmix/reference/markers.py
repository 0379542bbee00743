"""Selection of regions: the most informative marker regions of each tissue."""

from dataclasses import replace

from methmix.files.reference import Reference
from methmix.least_squares import marker_weights
from methmix.reference.profiles import training_profiles


def select_markers(reference: Reference, per_tissue: int) -> Reference:
    """Keep the most informative marker regions of each tissue, as the donors of the train split show them.

    Parameters
    ----------
    reference
        Its donors are divided already: those of validation and test have no influence on what is kept.
    per_tissue
        Number of regions of each tissue; tissues may have some in common.
    """
    kept = (marker_weights(training_profiles(reference, purify=False), per_tissue) > 0).numpy()
    return replace(
        reference,
        methylated=reference.methylated[:, kept],
        depth=reference.depth[:, kept],
        regions=reference.regions[kept].reset_index(drop=True),
    )
