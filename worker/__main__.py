"""``python -m worker``: the container's entry point, the same as ``siftbeam-billing worker``."""

import sys

from worker.cli import main

if __name__ == "__main__":
    main(["worker", *sys.argv[1:]])
