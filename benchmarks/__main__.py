"""`python -m benchmarks`; see `door`.

Scripts import each other by plain names, since pytest and asv import them without a package. So this folder comes first
on the path. That also lets a script start another by the folder's path, from any current folder.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
