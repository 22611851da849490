"""Threads are as many as before after a block, and one for little work."""

import pytest
import torch

from zoo_eval.numerics.threads import ONE_THREAD, enough_for, threads


def fail_with(n_threads):
    with threads(n_threads):
        raise RuntimeError(str(torch.get_num_threads()))


def test_a_block_has_its_threads_and_gives_them_back_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match=str(before + 1)):
        fail_with(before + 1)
    assert torch.get_num_threads() == before


def test_little_work_takes_one_thread_and_much_takes_all():
    with threads(3):
        assert enough_for(ONE_THREAD) == 1
        assert enough_for(ONE_THREAD + 1) == 3
