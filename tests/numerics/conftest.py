"""One thread for the mathematics: its products are small, and threads would wait for each other."""

import pytest


@pytest.fixture(autouse=True)
def always_one_thread(one_thread):
    """The fixture for every test in this folder."""
