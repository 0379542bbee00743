"""Known amounts of held-out donors spiked into real controls: what a laboratory can see in its own plasma."""
