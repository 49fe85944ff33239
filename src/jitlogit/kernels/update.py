"""One update of the parameters from the gradient of a mini-batch."""

from __future__ import annotations

from .._jit import inline
from . import lanes


@inline
def descend(step, gradient, n_features, out_weights):
    """Gradient descent: weights_j -= step * gradient_j, in the gradient's precision; the gradient is then zero."""
    rate = lanes.fill(gradient, step)
    nothing = lanes.fill(gradient, 0.0)
    for j in range(0, n_features, lanes.width(gradient)):
        lanes.store(out_weights, j, lanes.load(out_weights, j) - rate * lanes.load(gradient, j))
        lanes.store(gradient, j, nothing)
