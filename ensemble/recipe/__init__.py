"""Settings: where they come from, what they may be, and the recipe they resolve to."""
