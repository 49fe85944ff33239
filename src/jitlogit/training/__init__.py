"""The loop over epochs.

Checked rows and labels come in, with the options of gradient descent. Weights, biases and costs go out. Order of the
rows, schedule, stopping, packing and progress are decided here; updates are computed by kernels.
"""
