"""From a place on the disk to pixels: found, hashed, read, decoded, resized, in shards."""
