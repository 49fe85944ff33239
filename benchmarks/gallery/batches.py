"""Batch, mini-batch and stochastic gradient descent on one picture: the same data, start and learning rate.

One sees three paths over the contours of the cost of two weights, and the cost after each update. In five passes, batch
descent makes 5 steps straight downhill. Mini-batches make 80, and come near the minimum. Single samples make 2560: they
are there within a tenth of a pass, and then wander around it.
One learns that small batches make much of a pass, and that the noise of their updates decides how near one gets.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import jitlogit

rng, m = np.random.default_rng(0), 512
X = rng.standard_normal((m, 2))
y = rng.random(m) < jitlogit.sigmoid(X @ [1.5, -1.0])
figure, (contour, curve) = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
for size, style, name in ((1, "r-", "stochastic"), (32, "b.-", "mini-batch"), (m, "ko-", "batch")):
    path = [np.zeros((2, 1))]
    for _ in range(5):
        for rows in np.split(rng.permutation(m), m // size):
            A = jitlogit.forward_pass(X[rows], path[-1], 0.0)
            dW, _ = jitlogit.compute_gradients(X[rows], y[rows], A)
            path.append(jitlogit.update_parameters(path[-1], 0.0, dW, 0.0, learning_rate=0.2)[0])
    costs = [jitlogit.compute_cost(jitlogit.forward_pass(X, W, 0.0), y) for W in path]
    contour.plot(*np.hstack(path), style, linewidth=1, alpha=0.7)
    curve.plot(np.arange(len(path)) * size / m, costs, style, linewidth=1, label=f"{name} ({size}): {len(path) - 1}")
w1, w2 = np.meshgrid(np.linspace(-0.5, 2.5, 40), np.linspace(-2, 0.5, 40))
J = [jitlogit.compute_cost(jitlogit.forward_pass(X, W, 0.0), y) for W in np.c_[w1.flat, w2.flat]]
contour.contour(w1, w2, np.reshape(J, w1.shape), 20, colors="gray", linewidths=0.5)
contour.set(title="paths over the contours of the cost J", xlabel="weight w₁", ylabel="weight w₂")
curve.set(title="the cost after each update", xlabel="passes over the training set", ylabel="cost J (mean loss, nats)")
curve.legend(title="descent (samples of an update): updates")
figure.savefig(Path(*sys.argv[1:]) / "batches.png", dpi=120)
