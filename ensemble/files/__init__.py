"""The disk: written whole or not at all, locked, hashed; paths, CSV and Parquet."""
