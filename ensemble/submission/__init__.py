"""What is published: the sample followed, the rows, the record of the run, the ledger."""
