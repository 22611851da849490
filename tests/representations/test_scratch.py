"""Scratch: matrices come back from the disk as they were written; a full disk is one clear line."""

import gc
import resource
from contextlib import contextmanager

import psutil
import pytest
import torch

from zoo_eval.errors import Refusal
from zoo_eval.representations.scratch import Scratch, check_room


@contextmanager
def files_up_to(n_bytes):
    """The system refuses to make a file longer, as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_of_one_file_keep_their_rows_apart(dtype):
    scratch, generator = Scratch(), torch.Generator().manual_seed(0)
    shapes = [(3, 5), (1, 1), (40, 700)]
    values = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    matrices = [scratch.matrix(*shape, dtype) for shape in shapes]
    assert all((matrix.read(0, matrix.n_rows) == 0).all() for matrix in matrices)
    for matrix, value in zip(matrices, values, strict=True):
        for start in range(0, matrix.n_rows, 7):
            matrix.write(start, value[start : start + 7])
    for matrix, value in zip(matrices, values, strict=True):
        assert torch.equal(matrix.read(0, len(value)), value)
        assert torch.equal(matrix.read(len(value) - 1, len(value)), value[-1:])


def test_rows_are_written_whatever_their_layout_and_type():
    matrix, values = Scratch().matrix(4, 6, torch.float64), torch.rand(6, 8)
    matrix.write(0, values[:, ::2].T)
    assert torch.equal(matrix.read(0, 4), values[:, ::2].T.double())


def test_a_file_lives_as_long_as_its_last_matrix():
    gc.collect()
    before = psutil.Process().num_fds()
    scratch = Scratch()
    first, second = (scratch.matrix(2, 2, torch.float64) for _ in range(2))
    del scratch, first
    second.write(0, torch.ones(2, 2))
    assert psutil.Process().num_fds() == before + 1
    del second
    assert psutil.Process().num_fds() == before


def test_a_disk_that_fills_up_is_refused_in_one_line():
    matrix = Scratch().matrix(10, 1000, torch.float64)
    with (
        files_up_to(40_000),
        pytest.raises(Refusal, match=r"takes no more: .*; set TMPDIR to a folder on a disk"),
    ):
        matrix.write(0, torch.ones(10, 1000))
    with files_up_to(40_000), pytest.raises(Refusal, match="takes no more"):
        Scratch().matrix(10, 1000, torch.float64)


def test_room_that_is_not_there_is_refused_with_both_figures():
    check_room(1)
    with pytest.raises(
        Refusal, match=r"^1024\.0 TiB of disk are needed.* has .*iB free; set TMPDIR"
    ):
        check_room(2**50)
