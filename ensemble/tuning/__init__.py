"""Blend weights from out-of-fold predictions: exact where the problem is convex.

NumPy and SciPy only: arrays in, arrays out. Families come stacked as float64 (M, N, C); the truth
is int64 (N,). Nothing here draws a random number, and no result depends on the families' order.
"""
