"""A probe on bytes: softmax regression on 1,797 images of digits, of which each pixel is a byte.

One sees what the classifier looks for: a blue pixel speaks for a digit, a red one against it. Below are the images that
it gets wrong, the worst first.
One learns that bytes need no float copy of four times the size: `scale` divides each pixel as it is read.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import jitlogit

X, y = load_digits(return_X_y=True)
X = X.astype(np.uint8)  # of 0 to 16
(X, unseen), (y, y_unseen) = np.split(X, [1200]), np.split(y, [1200])
options = {"batch_size": 32, "scale": 16, "alpha": 1e-3, "random_state": 0}
W, b, costs = jitlogit.train_softmax_regression(X, y, 0.3, 100, **options)
A = jitlogit.forward_softmax(unseen, W, b, scale=16)
digits, probability = A.argmax(axis=0), A[y_unseen, np.arange(y_unseen.size)]
worst = np.argsort(np.where(digits == y_unseen, 1, probability))[:10]
figure, (weights, mistakes) = plt.subplots(2, 10, figsize=(14, 4), layout="compressed")
for digit, (ax, mistake, i) in enumerate(zip(weights, mistakes, worst, strict=True)):
    picture = ax.imshow(W[:, digit].reshape(8, 8), cmap="RdBu", vmin=-2, vmax=2)
    ax.set_title(f"weights of {digit}")
    mistake.imshow(unseen[i].reshape(8, 8), cmap="gray_r")
    mistake.set_title(
        f"a {y_unseen[i]} ({probability[i]:.0%})\nread as {digits[i]} ({A[digits[i], i]:.0%})", size="small"
    )
plt.setp(figure.axes, xticks=[], yticks=[])
figure.colorbar(picture, ax=weights, label="weight of a pixel")
size = f"{X.nbytes / 1000:.0f} kB of bytes, {X.astype(np.float32).nbytes / 1000:.0f} as float32"
figure.suptitle(f"{size}: {np.mean(digits == y_unseen):.0%} of {len(unseen)} unseen images are right")
figure.savefig(Path(*sys.argv[1:]) / "probe_on_bytes.png", dpi=120)
