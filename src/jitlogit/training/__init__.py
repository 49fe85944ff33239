"""The loop over epochs.

Checked data and the options of gradient descent come in. Weights, biases and costs go out. This room decides order,
schedule, stopping, packing and progress; kernels compute the updates.
"""
