"""Sources ``uxm_atlas`` and ``array_atlas``: a published table of tissue means, around which donors are drawn."""

import numpy as np

from methmix.config.sources import ArrayAtlasReference, UxmAtlasReference
from methmix.errors import InputError
from methmix.formats.counts import Request
from methmix.formats.file_formats import read_as
from methmix.formats.manifest import read_manifest
from methmix.formats.region_tables import read_atlas
from methmix.reference.donors import DonorCounts
from methmix.reference.inputs import data_file
from methmix.reference.variation import DonorVariation


def read_atlas_donors(settings: UxmAtlasReference | ArrayAtlasReference, rng: np.random.Generator) -> DonorCounts:
    """Draw donors around the means of an atlas, at the stated pseudo-depth; depth 0 where the mean is unknown."""
    table, inputs = data_file(settings.file), {}
    if isinstance(settings, ArrayAtlasReference):
        manifest = data_file(settings.manifest) if settings.manifest else None
        if manifest is not None:
            read_manifest(manifest).check_genome(settings.genome, settings.genome)
            inputs = {manifest.name: manifest}
        # At a depth of 1, what is methylated is the mean.
        atlas = read_as("probes", table, Request(pseudo_depth=1, manifest=manifest))
    else:
        atlas = read_atlas(table)
    methylation, known = atlas.all()
    if not known.any(axis=1).all():
        raise InputError(
            f"{table}: tissue {atlas.names[int(np.argmin(known.any(axis=1)))]} has no value in any region",
            "remove the column: nothing can be estimated for this tissue",
        )
    drawn = DonorVariation.shipped(settings.donor_variation).draw_donors(
        atlas.names,
        [settings.donors_per_tissue] * len(atlas.names),
        np.where(known, methylation, np.nan),
        lambda own: np.where(np.isnan(own), 0, settings.pseudo_depth),
        rng,
    )
    note = (
        "donors are drawn: the atlas has tissue means only; donors are drawn around them with the "
        f"variation between real {settings.donor_variation} replicates, at pseudo-depth "
        f"{settings.pseudo_depth}; errors on real donors will be larger"
    )
    return DonorCounts.drawn(drawn, atlas.regions, inputs={table.name: table, **inputs}, notes=[note, *atlas.notes])
