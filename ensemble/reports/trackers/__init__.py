"""Trackers: what was done, told to MLflow, W&B or TensorBoard, where that was asked for."""
