"""The files that laboratories have: samples read from them and lined up with a set of regions."""

from methmix.formats.regions import RegionSet
from methmix.formats.samples import Matching, SampleBlock, Samples, open_samples

__all__ = ["Matching", "RegionSet", "SampleBlock", "Samples", "open_samples"]
