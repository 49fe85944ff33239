"""The command line, `compare`, plots, the learning-rate finder and the warm-up.

Data come in, from files or from Python. Tables, pictures and suggestions go out.
"""

#: Modules whose names users see, which pages of documentation are made of.
__all__ = ["comparing", "learning_rate", "plots", "warmup"]
