"""What members gave: kept by content, read back, joined by id into one table."""
