"""What every output says first, in a module that the command line's help can import quickly."""

STATEMENT = "For research use only, not for diagnosis."
