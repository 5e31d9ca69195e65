"""From checkpoints to members: nets, ONNX, int8, each proven against what it came from."""
