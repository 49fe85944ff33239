"""The room for epochs, the loops over the samples that update the parameters batch by batch.

Rows, labels, their order, learning rates and a work space come in. Updated parameters, in the work space, and the sum
of the losses go out.
"""
