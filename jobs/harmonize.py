"""Harmonizing as a job: trains a network and its control on the Ray cluster it is submitted to.

    ray job submit --working-dir . -- python jobs/harmonize.py RUN.toml [--store URI]

The same as `zoo-eval harmonize`. Submitting it again goes on from the last checkpoint.
"""

import sys

from zoo_eval.cli import main

if __name__ == "__main__":
    # A job's log is a pipe: without this, progress would arrive in blocks.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # always a TextIOWrapper
    raise SystemExit(main(["harmonize", *sys.argv[1:]]))
