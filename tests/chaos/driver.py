"""The command as a user gives it, with deadlines of seconds: `python -m tests.chaos.driver SWEEP ...`."""

import sys

from zoo_eval import cli
from zoo_eval.runners import schedule

schedule.HANG_FLOOR_S = 40.0
schedule.HANG_S_PER_PASS = 0.1

if __name__ == "__main__":
    sys.exit(cli.main(["sweep", *sys.argv[1:]]))
