"""What determines the weights of a training, as digests: it is resumed only where all are the same."""

import hashlib

from methmix import provenance
from methmix.config.arm import ArmSettings, settings_digest
from methmix.config.experiment import Experiment
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.rows import blocks
from methmix.training.warm_start import WarmStart

_BLOCK = 100


def identity_of(
    arm: ArmSettings, experiment: Experiment, reference: Reference, validation: Mixtures, start: WarmStart | None
) -> dict[str, str]:
    """Digest what determines the weights of a training, by name; arguments as for `Trainer`."""
    mixtures = experiment.mixtures
    return {
        "configuration": settings_digest(arm),
        "reference": reference.content_digest,
        "mixtures": _digest(f"{experiment.seed} {mixtures.recipes[arm.phase]} {mixtures.mean_depths}"),
        "validation mixtures": _digest_of_reads(validation),
        "initial weights": start.digest if start else "random",
        "code": provenance.source_digest("methmix.training"),
    }


def _digest_of_reads(mixtures: Mixtures) -> str:
    digest = hashlib.sha256()
    for rows in blocks(len(mixtures), _BLOCK):
        digest.update(mixtures.methylation[rows].tobytes())
    return digest.hexdigest()[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
