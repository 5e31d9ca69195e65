"""The Python functions, which the commands call too."""
