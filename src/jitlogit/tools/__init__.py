"""The command line, `compare`, plots, the learning-rate finder and the warm-up.

Data come in, from files or from Python. Tables, pictures and suggestions go out.
"""
