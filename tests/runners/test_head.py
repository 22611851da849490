"""A head that is gone is noticed without asking it, and said in a line."""

import socket

import pytest

from zoo_eval.errors import ZooEvalError
from zoo_eval.runners.head import Head


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_it_is_there_while_something_listens(listening):
    head = Head({"head": listening.getsockname()}, patience_s=0)
    assert head.is_there()
    listening.close()
    with pytest.raises(
        ZooEvalError, match=r"Ray is gone: its head at 127.0.0.1:\d+ does not answer"
    ):
        head.is_there()


def test_one_that_comes_back_in_time_is_waited_for(listening):
    address, clock = listening.getsockname(), Clock()
    head = Head({"head": address}, patience_s=30, clock=clock)
    listening.close()
    for clock.now in (1.0, 30.9):
        assert not head.is_there()
    with socket.create_server(address):
        assert head.is_there()
    clock.now = 100.0
    assert not head.is_there()
    clock.now = 131.0
    with pytest.raises(ZooEvalError, match="run the same command again"):
        head.is_there()
