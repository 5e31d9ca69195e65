"""Early exit: end an image as soon as its label is certain, or as good as certain.

NumPy only: arrays in, arrays out. An evaluation is one member under one view. K evaluations are
made in a fixed order (`order`); `ledgers` keeps what is summed and tells what it means so far;
`course` follows images through the evaluations; `certificate` finds how early they may end;
`budget` spends a given cost where it helps; `replay` checks what was done. Weights are shares:
they sum to 1 over all K evaluations.
"""
