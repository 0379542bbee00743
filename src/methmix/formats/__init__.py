"""The file formats of laboratories: samples are read and aligned to a set of regions."""
