"""A page to read and hand on: one file of HTML with everything in it."""
