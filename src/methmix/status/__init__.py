"""What of an experiment is done, runs, has failed and comes next; nothing is written here."""
