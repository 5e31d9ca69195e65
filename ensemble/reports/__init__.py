"""What only looks: scores of a submission, where two differ, figures."""
