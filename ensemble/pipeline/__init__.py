"""The verbs of the product, each composed of the rooms below. No maths and no terminal."""
