"""One update of the parameters from the gradient of a mini-batch."""

from __future__ import annotations

from .._jit import inline


@inline
def descend(step, gradient, out_parameters):
    """Gradient descent: parameters_j -= step * gradient_j, computed in the gradient's precision."""
    for j in range(out_parameters.size):
        out_parameters[j] -= step * gradient[j]
