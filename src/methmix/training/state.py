"""The state of a training, which is also a model with all that is needed to use it elsewhere: what a checkpoint has.

The random state needs no place in it: each step derives its own streams from its number.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from methmix.config.arm import ArmSettings
from methmix.files.reference import CPG_COLUMNS, SPLITS, Reference
from methmix.formats.identity import least_correlation


@dataclass
class Checkpoint:
    """State of a training: its configuration and data, where it stands, and its record.

    Parameters
    ----------
    tissue_names
        Order of the outputs.
    regions
        ``chrom`` (list of str), ``start``, ``end`` and, where the reference has them, ``start_cpg`` and ``end_cpg``
        (int64 tensors): order of the inputs. Further ``measure`` and ``modification`` (str), and, to recognise samples
        of another genome build, ``mean_methylation`` of all tissues (tensor) and ``least_correlation`` with it.
    reference_digest
        Digest of tissues and regions: data that the model can be used on.
    identity
        Digests of what determines the weights; a training is resumed only where all are the same.
    model, optimiser
        State dictionaries; the latter empty in ``checkpoint_best.pt``, which is for use, not for resuming.
    epoch_sums
        Sums of the unfinished epoch's training losses.
    best
        Validation metrics of the best epoch so far, and what its calibration rests on.
    record
        Where, how long and with what this was trained.
    """

    arm: dict[str, Any]
    seed: int
    tissue_names: list[str]
    regions: dict[str, Any]
    genome: str
    reference_digest: str
    identity: dict[str, str]
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    step: int = 0
    epoch_sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    finished: bool = False
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def measure(self) -> str:
        """What is counted in a region: ``cpg``, single calls; ``fragment``, whole reads."""
        return str(self.regions.get("measure", "cpg"))

    @property
    def modification(self) -> str:
        """What counts as methylated in the reference: ``5mC+5hmC`` (bisulfite, EM-seq) or ``5mC``."""
        return str(self.regions.get("modification", "5mC+5hmC"))

    @property
    def region_names(self) -> list[str]:
        """``chrom:start-end`` of each region."""
        columns = (self.regions["chrom"], self.regions["start"].tolist(), self.regions["end"].tolist())
        return [f"{chrom}:{start}-{end}" for chrom, start, end in zip(*columns, strict=True)]


def new_checkpoint(
    arm: ArmSettings, seed: int, reference: Reference, identity: dict[str, str], record: dict[str, Any]
) -> Checkpoint:
    """Make the state of a training before its first step."""
    columns = [name for name in ("start", "end", *CPG_COLUMNS) if name in reference.regions]
    profiles = reference.complete_profiles("train")
    return Checkpoint(
        arm=arm.model_dump(mode="json"),
        seed=seed,
        tissue_names=reference.tissue_names,
        regions={
            "chrom": [str(name) for name in reference.regions["chrom"]],
            **{name: torch.tensor(reference.regions[name].to_numpy(), dtype=torch.int64) for name in columns},
            "measure": reference.measure,
            "modification": reference.modification,
            "mean_methylation": torch.from_numpy(profiles.mean(axis=0)).float(),
            "least_correlation": least_correlation(profiles),
        },
        genome=str(reference.attributes.get("genome", "unknown")),
        reference_digest=reference.digest,
        identity=identity,
        model={},
        optimiser={},
        record=record,
    )


def donors(reference: Reference) -> dict[str, list[int]]:
    """Count the donors of each tissue in train, validation and test."""
    pairs = Counter(zip(reference.tissues, reference.split, strict=True))
    return {tissue: [pairs[tissue, split] for split in SPLITS] for tissue in reference.tissue_names}
