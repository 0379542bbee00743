"""The configuration: what an experiment and an arm may say, and how a file is read into it."""
