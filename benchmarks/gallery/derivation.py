"""The derivation step by step, for eight students: did they pass (blue) or fail (red), given their hours of study?

One sees score, probability, loss and cost. A residual A - y is a distance in the second picture, and the slope of a
loss in the third. One learns that dW, the mean of (A - y) x, is the slope of the cost: finite differences agree.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import jitlogit

X, y = np.array([[0.5], [1.2], [2.0], [2.8], [3.3], [4.0], [4.6], [5.5]]), np.array([0, 0, 1, 0, 1, 0, 1, 1])
w, b, h, near, grid = 0.7, -1.2, 1e-5, np.array([[-0.25], [0.25]]), np.linspace(-3, 4)
z, A = X[:, 0] * w + b, jitlogit.forward_pass(X, [w], b)[0]
losses, colors = -np.log(np.where(y == 1, A, 1 - A)), np.where(y == 1, "tab:blue", "tab:red")
dW, db = jitlogit.compute_gradients(X, y, A)
new_W, new_b = jitlogit.update_parameters([w], b, dW, db, learning_rate=0.3)
J = np.vectorize(lambda w: jitlogit.compute_cost(jitlogit.forward_pass(X, [w], b), y))
slopes = f"slope dW = {dW[0, 0]:.8f}\n(finite differences: {(J(w + h) - J(w - h)) / (2 * h):.8f})"
figure, ((score, probability), (loss, cost)) = plt.subplots(2, 2, figsize=(11, 8.5), layout="constrained")
score.plot([0, 6], [b, 6 * w + b], "gray", label=f"z = w x + b, w = {w}, b = {b}")
probability.plot(grid, jitlogit.sigmoid(grid), "gray", label=r"$A = \sigma(z)$")
probability.vlines(z, A, y, colors, "dotted", linewidth=2, label="residual A - y")
loss.plot(grid, -np.log(jitlogit.sigmoid(grid)), "tab:blue", alpha=0.4, label="passed, y = 1: L = -log A")
loss.plot(grid, -np.log(jitlogit.sigmoid(-grid)), "tab:red", alpha=0.4, label="failed, y = 0: L = -log(1 - A)")
loss.plot(z + near, losses + (A - y) * near, "black", linewidth=3, label=["slope A - y"] + 7 * ["_"])
cost.plot(0.5 + grid / 6, J(0.5 + grid / 6), "gray", label="J(w), the mean of the losses")
cost.plot(w + near, J(w) + dW * near, "black", linewidth=3, label=slopes)
cost.plot(new_W, J(new_W), "g*", markersize=16, label=r"after an update, $\alpha = 0.3$")
parts = [(score, X, z, "x (hours of study)", "score z"), (probability, z, A, "score z", "probability A to pass")]
parts += [(loss, z, losses, "score z", "loss L (nats)"), (cost, w, J(w), "weight w", "cost J (nats)")]
for step, (ax, x, values, of, name) in enumerate(parts, start=1):
    ax.scatter(x, values, c="black" if ax is cost else colors, s=60, zorder=3)
    ax.set(title=f"step {step}: {name}", xlabel=of, ylabel=name)
    ax.legend(loc="upper center" if step > 2 else "upper left")
figure.savefig(Path(*sys.argv[1:]) / "derivation.png", dpi=120)
