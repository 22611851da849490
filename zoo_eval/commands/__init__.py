"""Commands: what the `zoo-eval` command does, one file for each."""
