"""In-silico mixtures: which tissues in which proportions, and the reads that a sequencer would give."""
