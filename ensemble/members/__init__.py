"""The ONNX files that vote, each with a card that says what it is."""
