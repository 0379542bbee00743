"""Training of an arm: batches, schedule, loop, checkpoint, monitor."""
