"""The page of all errors and warnings, made from the code that emits them."""
