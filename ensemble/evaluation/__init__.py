"""What predictions are held against: labels, folds, metrics, and how sure a score is."""
