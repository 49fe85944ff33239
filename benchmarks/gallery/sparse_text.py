"""Sparse text: is a docstring of Python's standard library about networks or about numbers?

One sees the words with the largest coefficients, and the probabilities of docstrings that the fit has not seen.
One learns to read a linear classifier: each word pulls a text to one side. A sparse row holds a text's own words alone,
a dozen or two of almost 2,000, and the fit computes with these.
"""

import importlib
import inspect
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

import jitlogit

modules = dict.fromkeys(("http.client", "imaplib", "smtplib", "socket", "ssl", "urllib.request"), "networks")
modules |= dict.fromkeys(("cmath", "decimal", "fractions", "math", "random", "statistics"), "numbers")
texts = {}
for name, topic in modules.items():
    parts = [part for part in vars(importlib.import_module(name)).values() if getattr(part, "__module__", "") == name]
    parts += [method for part in parts if inspect.isclass(part) for method in vars(part).values() if callable(method)]
    texts |= {inspect.getdoc(part): topic for part in parts if inspect.getdoc(part)}
X, X_test, y, y_test = train_test_split(list(texts), np.array(list(texts.values())), test_size=0.3, random_state=0)
model = make_pipeline(TfidfVectorizer(stop_words="english"), jitlogit.LogisticRegression(C=10)).fit(X, y)
figure, (words, unseen) = plt.subplots(1, 2, figsize=(12, 6), layout="constrained")
jitlogit.plots.plot_coefficients(model, top=24, ax=words)
probabilities = [model.predict_proba(X_test)[y_test == topic, 1] for topic in ("networks", "numbers")]
unseen.hist(probabilities, np.linspace(0, 1, 21), label=["networks", "numbers"])
unseen.legend(title="topic", loc="upper center")
unseen.set_title(f"{len(X_test)} docstrings that the fit has not seen: {model.score(X_test, y_test):.0%} are right")
unseen.set(xlabel="probability of class numbers", ylabel="docstrings")
figure.savefig(Path(*sys.argv[1:]) / "sparse_text.png", dpi=120)
