"""The files that laboratories have: samples read from them and lined up with a set of regions."""
