"""Who scores the shards: this process, processes a device, or whatever else takes orders."""
