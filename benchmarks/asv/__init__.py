"""Benchmarks for asv. They share data and the measurement of bandwidth with the scripts in the folder above."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
