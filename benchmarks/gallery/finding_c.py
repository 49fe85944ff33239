"""Finding C: how strong should the penalty be for 569 samples of 495 features, which are 30 and their products?

One sees the loss in training fall with C, while the loss on held-out samples has a valley. Left of it the penalty is
too strong to learn much. Right of it coefficients grow, and the fit learns the noise of its own samples.
One learns why held-out samples choose C: the loss in training would always choose the largest.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import jitlogit

X, y = load_breast_cancer(return_X_y=True)
X = make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), StandardScaler()).fit_transform(X)
model = jitlogit.LogisticRegressionCV(Cs=np.logspace(-5, 2, 15), cv=5).fit(X, y)
fits = [jitlogit.LogisticRegression(C=C).fit(X, y) for C in model.Cs_]
figure, (losses, coefficients) = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
losses.plot(model.Cs_, [log_loss(y, fit.predict_proba(X)) for fit in fits], "r--", label="training")
jitlogit.plots.plot_path(model, losses)
losses.set(yscale="log", ylabel="mean loss (nats)", title="losses in training, and of held-out samples")
coefficients.semilogx(model.Cs_, [fit.coef_[0] for fit in fits], linewidth=0.5)
coefficients.axvline(model.C_, linestyle="--", color="gray", label=f"best: {model.C_:.2g}")
coefficients.set(xlabel=losses.get_xlabel(), ylabel="coefficient", title="coefficients, one for each feature")
coefficients.legend()
figure.savefig(Path(*sys.argv[1:]) / "finding_c.png", dpi=120)
