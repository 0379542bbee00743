"""The reference: donors of every tissue, simulated or read from files, divided into splits."""
