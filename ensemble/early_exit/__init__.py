"""Images that end before every member has seen them, with what is promised of it."""
