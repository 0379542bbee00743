"""Source ``uxm_atlas``: a published table of tissue means, around which donors are drawn."""

import numpy as np
import numpy.typing as npt

from methmix.config.sources import UxmAtlasReference
from methmix.errors import InputError
from methmix.formats.region_tables import read_atlas
from methmix.reference.donors import DonorCounts
from methmix.reference.inputs import data_file
from methmix.reference.variation import DonorVariation


def read_atlas_donors(settings: UxmAtlasReference, rng: np.random.Generator) -> DonorCounts:
    """Draw donors around the means of an atlas.

    Raises
    ------
    InputError
        As for `read_atlas`; a tissue has no value at all.
    """
    table = data_file(settings.file)
    atlas = read_atlas(table)
    methylation, known = atlas.all()
    if not known.any(axis=1).all():
        raise InputError(
            f"{table}: tissue {atlas.names[int(np.argmin(known.any(axis=1)))]} has no value in any region",
            "remove the column: nothing can be estimated for this tissue",
        )
    names, tissues, methylated, depth = draw_donors(atlas.names, np.where(known, methylation, np.nan), settings, rng)
    note = (
        "donors are drawn: the atlas has tissue means only; donors are drawn around them with the "
        f"variation between real {settings.donor_variation} replicates, at pseudo-depth "
        f"{settings.pseudo_depth}; errors on real donors will be larger"
    )
    return DonorCounts(names, tissues, atlas.regions, methylated, depth, inputs={table.name: table}, notes=[note])


def draw_donors(
    tissues: list[str], means: npt.NDArray[np.float64], settings: UxmAtlasReference, rng: np.random.Generator
) -> tuple[list[str], list[str], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw donors around means, [n_tissues, n_regions], 0-1, NaN where unknown.

    Returns
    -------
    donors, tissues, methylated, depth
        Counts at the stated pseudo-depth, int32 [n_donors, n_regions]; depth 0 where the mean is unknown.
    """
    variation = DonorVariation.shipped(settings.donor_variation)
    donors, of_donor, methylated, depths = [], [], [], []
    for row, tissue in enumerate(tissues):
        others = [i for i in range(len(tissues)) if i != row]
        for number in range(1, settings.donors_per_tissue + 1):
            drawn = variation.draw(means, row, others, rng)
            depth = np.where(np.isnan(drawn), 0, settings.pseudo_depth).astype(np.int32)
            donors.append(f"{tissue}-{number}")
            of_donor.append(tissue)
            methylated.append(rng.binomial(depth, np.nan_to_num(drawn)).astype(np.int32))
            depths.append(depth)
    return donors, of_donor, np.stack(methylated), np.stack(depths)
