"""Public docstrings describe each parameter and show examples; the examples print what they say."""

from __future__ import annotations

import doctest
import inspect
import re
from types import ModuleType

import matplotlib
import pytest
from sklearn.base import BaseEstimator

import jitlogit

#: Names that `jitlogit` imports on first use.
LAZY = [*jitlogit._ESTIMATORS, *jitlogit._RARE]
_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public(module=jitlogit, prefix="jitlogit"):
    """Public functions, classes and methods of jitlogit by their dotted names; modules among them are walked."""
    found = {}
    for name in [*module.__all__, *(LAZY if module is jitlogit else ())]:
        thing, dotted = getattr(module, name), f"{prefix}.{name}"
        if isinstance(thing, ModuleType):
            found |= public(thing, dotted)
        elif inspect.isroutine(thing):
            found[dotted] = thing
        elif inspect.isclass(thing):
            found |= {dotted: thing} | {f"{dotted}.{method}": of for method, of in methods(thing)}
    return found


def methods(kind):
    """Public methods that jitlogit defines, with those of base classes, but those that any estimator has."""
    for name, thing in inspect.getmembers(kind, inspect.isfunction):
        ours = thing.__module__.startswith("jitlogit.") and not hasattr(BaseEstimator, name)
        if ours and not name.startswith("_"):
            yield name, thing


def failures(thing, name):
    """What is wrong with the examples of a docstring: a list of texts."""
    text = inspect.getdoc(thing) or ""
    if "\nExamples\n--------\n" not in text:
        return [f"{name} has no section Examples"]
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    if not test.examples:
        return [f"{name} has no example that starts with >>>"]
    told = []
    doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=told.append)
    return told


def unnamed(thing):
    """Parameters that a docstring doesn't describe, and "Returns" if it says nothing about a result."""
    text = inspect.getdoc(thing) or ""
    signature = inspect.signature(thing)
    described = text.partition("\nParameters\n----------\n")[2]
    described = re.split(r"\n\n\w+\n---", described)[0]
    names = [] if " and the others\n" in described else [name for name in signature.parameters if name != "self"]
    missing = [name for name in names if not re.search(rf"^(?! )[\w*, ]*\b{name}\b", described, re.MULTILINE)]
    gives = not inspect.isclass(thing) and signature.return_annotation not in (None, "None")
    return missing + (["Returns"] if gives and "\nReturns\n-------\n" not in text else [])


#: Methods of small classes in the reference; the examples of their classes call them.
_SHOWN_BY_CLASS = {"jitlogit.reference.Plateau.reached", "jitlogit.reference.Mean.add"}
PUBLIC = {name: thing for name, thing in public().items() if name not in _SHOWN_BY_CLASS}


@pytest.fixture(autouse=True)
def _pictures_without_a_screen():
    from matplotlib import pyplot as plt

    before = matplotlib.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name):
    assert failures(PUBLIC[name], name) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_describe_each_parameter(name):
    assert unnamed(PUBLIC[name]) == []


def test_a_parameter_without_words_is_caught():
    def example(X, y, z=1):
        """Words of y.

        Parameters
        ----------
        X, z : float
            As y.
        """

    assert unnamed(example) == ["y", "Returns"]


def test_all_public_names_are_walked():
    assert set(PUBLIC) >= {
        "jitlogit.sigmoid",
        "jitlogit.load",
        "jitlogit.compare_steps",
        "jitlogit.LogisticRegressionCV",
        "jitlogit.LogisticRegressionCV.save",
        "jitlogit.MiniBatchLogisticRegression.partial_fit",
        "jitlogit.plots.plot_path",
        "jitlogit.reference.Optimizer.step",
    }
    assert not any("BLOCK_ROWS" in name or "bfloat16" in name for name in PUBLIC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no section Examples"),
        ("Words.\n\nExamples\n--------\nNone here.\n", "no example"),
        ("Words.\n\nExamples\n--------\n>>> 1 + 1\n3\n", "Got:\n    2"),
        ("Words.\n\nExamples\n--------\n>>> nothing\n3\n", "NameError"),
    ],
)
def test_a_wrong_example_is_caught(text, told):
    def example():
        pass

    example.__doc__ = text
    assert told in "".join(failures(example, "example"))
    example.__doc__ = "Words.\n\nExamples\n--------\n>>> 1 + 1\n2\n"
    assert failures(example, "example") == []
