"""One attack, one file; the registry names those that pass the closed-form suite."""

import os

# Foolbox imports GitPython, which raises where there is no git: an image has none.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
