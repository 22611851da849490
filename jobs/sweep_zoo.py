"""The main job: run the pending trials of a sweep on the Ray cluster it is submitted to.

    ray job submit --working-dir . -- python jobs/sweep_zoo.py SWEEP.toml [--store URI]
        [--models PATTERN] [--retry-failed] [--max-slots N]

The same as `zoo-eval sweep`. Submitting it again runs only what is missing.
"""

import sys

from zoo_eval.cli import main

if __name__ == "__main__":
    # A job's log is a pipe: without this, progress would arrive in blocks.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # always a TextIOWrapper
    raise SystemExit(main(["sweep", *sys.argv[1:]]))
