"""Merge the small files of a store: as a job beside running sweeps, nightly for instance.

    ray job submit --working-dir . -- python jobs/compact_store.py --store URI [--grace-hours H]

The same as `zoo-eval compact`.
"""

import sys

from zoo_eval.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["compact", *sys.argv[1:]]))
