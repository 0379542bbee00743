"""The files that stages exchange: one writer and one reader each, both validating."""
