"""From the predictions of families to one label: pools, decisions, weights, votes."""
