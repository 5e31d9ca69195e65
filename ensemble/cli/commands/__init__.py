"""The commands: each is parse, one call of the library, echo."""
