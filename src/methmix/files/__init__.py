"""The files that stages hand to each other: one writer and one reader each, both validating."""
