"""Benchmarks for asv. They share data and the measurement of bandwidth with the scripts in the folder above.

Every figure is a cost, so lower is better: asv calls each rise a regression, whatever the name of the benchmark says.

asv sees commits only. With uncommitted work on `main`, `asv continuous main HEAD` compares `main` with itself, and says
that nothing changed. Commit first, or ask `benchmarks/gate.py`, which compares the working tree.

The folder isn't called asv, since the scripts beside it import asv's own modules.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
