"""Members over images: started and proven, batch by batch, shard by shard, into the store."""
