"""Early exit: end an image as soon as its label is certain, or as good as certain.

NumPy only: arrays in, arrays out. An evaluation is one member under one view. K evaluations are
made in a fixed order (`order`); `accumulators` keep what is summed and tell what it means so far,
`joint` that of several tasks; `trajectory` follows images through the evaluations, and replays
what was done; `certificate` finds how early they may end; `thresholds` spend a given cost where it
helps. Weights are shares: they sum to 1 over all K evaluations.
"""
