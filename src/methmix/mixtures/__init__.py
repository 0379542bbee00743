"""In-silico mixtures: proportions drawn by a recipe, donors mixed, and reads sampled as a sequencer would give them."""
