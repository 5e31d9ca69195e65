"""What runs a member: the devices there are, its graph with the views inside, its session."""
