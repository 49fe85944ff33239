"""asv's benchmarks. They share data and the measure of bandwidth with the scripts in the folder above."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
