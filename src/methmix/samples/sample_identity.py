"""Whether each sample is methylation counted in the genome of the model: its correlation with the model's profiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix.formats.identity import LEAST_CORRELATION, least_correlation, likeness
from methmix.formats.samples import SampleBlock
from methmix.models.deconvolver import Deconvolver
from methmix.nnls import normalise, weighted_nnls
from methmix.training.state import Checkpoint


@dataclass(frozen=True)
class Identity:
    """What samples of a model must resemble.

    ``mean``, [n_regions], is the mean profile of its tissues, ``least`` the correlation with it below which a sample is
    refused, ``profiles``, [n_tissues, n_regions], are those of its tissues if it has them.
    """

    mean: npt.NDArray[np.floating[Any]]
    least: float
    profiles: npt.NDArray[np.floating[Any]] | None = None

    @classmethod
    def of(cls, model: Deconvolver, checkpoint: Checkpoint) -> "Identity | None":
        """Take the profiles of a model, or the mean profile that its checkpoint records; None if there is neither."""
        if model.profiles is not None:
            profiles = model.profiles.mean.cpu().double().numpy()
            return cls(profiles.mean(axis=0), least_correlation(profiles), profiles)
        if "mean_methylation" not in checkpoint.regions:
            return None
        return cls(checkpoint.regions["mean_methylation"].numpy(), checkpoint.regions["least_correlation"])

    def unlike(self, block: SampleBlock) -> list[float | None]:
        """Return the correlation with the mean profile of each sample that is refused, None for the others.

        A sample is refused if its correlation with the mean profile, or with the best mixture of the profiles, is
        certainly lower than that of any mixture of the reference tissues.
        """
        found = likeness(block.methylation, block.depth, self.mean)
        refused = found.upper < self.least
        if self.profiles is not None:
            mixtures = normalise(weighted_nnls(self.profiles, block.methylation, block.depth))
            fitted = likeness(block.methylation, block.depth, mixtures @ self.profiles, len(self.profiles))
            refused |= fitted.upper < LEAST_CORRELATION
        return [float(r) if no else None for r, no in zip(found.correlation, refused, strict=True)]
