"""Public docstrings show examples, and the examples print what they say."""

from __future__ import annotations

import doctest
import inspect
from types import ModuleType

import matplotlib
import pytest

import jitlogit

_FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def public(module=jitlogit, prefix="jitlogit", seen=()):
    """Public functions, classes and methods of jitlogit by their dotted names; modules among them are walked."""
    names = [*module.__all__, *(jitlogit._ESTIMATORS if module is jitlogit else ())]
    found = {}
    for name in names:
        thing, dotted = getattr(module, name), f"{prefix}.{name}"
        if isinstance(thing, ModuleType):
            found |= public(thing, dotted)
        elif inspect.isroutine(thing):
            found[dotted] = thing
        elif inspect.isclass(thing):
            found |= {dotted: thing} | {f"{dotted}.{method}": of for method, of in methods(thing)}
    return found


def methods(kind):
    """Public methods that jitlogit defines, with those of base classes."""
    for name, thing in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") and thing.__module__.startswith("jitlogit."):
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


def test_all_public_names_are_walked():
    assert set(PUBLIC) >= {
        "jitlogit.sigmoid",
        "jitlogit.load",
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
