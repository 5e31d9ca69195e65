"""A whole ensemble as one ONNX file: members, merges of views, vote and decision in one graph."""
