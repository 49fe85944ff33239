"""Learning rates side by side: batch gradient descent on 569 samples of breast cancer, from W = 0, at six rates.

One sees a fan of costs. Up to a rate of 1, a tenfold rate needs a tenth of the passes. At 10 the cost rises at first.
At 100 it jumps to 8 nats, and zigzags in the end: updates go too far, and up the other side of the valley.
One learns to look for the largest rate whose cost still falls from the start: smaller ones are safe, but slow.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

import jitlogit

X, y = load_breast_cancer(return_X_y=True)
scaling = {"offset": X.mean(axis=0), "scale": X.std(axis=0)}
costs = {}
for rate in (0.001, 0.01, 0.1, 1, 10, 100):
    W, b, costs[rf"$\alpha$ = {rate}"] = jitlogit.train_logistic_regression(X, y, rate, 200, record_every=1, **scaling)
figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
jitlogit.plots.plot_costs(costs, record_every=1, ax=axes)
axes.set(yscale="log", title=r"The learning rate $\alpha$: too small is slow, too large jumps and zigzags")
figure.savefig(Path(*sys.argv[1:]) / "learning_rates.png", dpi=120)
