"""`python -m zoo_eval` is the `zoo-eval` command."""

from zoo_eval.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
