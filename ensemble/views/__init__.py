"""Test-time views: what they are called, what they do to pixels, which are the same."""
