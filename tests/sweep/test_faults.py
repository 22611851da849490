"""Every failure has a class, by what it is or by what caused it."""

import errno
import pickle
import urllib.error

import pytest
import requests
import torch
import urllib3

from zoo_eval.errors import Refusal, StoreError, Unreachable
from zoo_eval.sweep import faults
from zoo_eval.sweep.faults import Elsewhere, fault_of
from zoo_eval.tables import TRIALS

CUDA = "CUDA error: an illegal memory access was encountered"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ValueError("wrong"), faults.ERROR),
        (RuntimeError("shapes do not match"), faults.ERROR),
        (NotImplementedError(CUDA), faults.ERROR),
        (FileNotFoundError("no file"), faults.ERROR),
        (OSError(errno.EACCES, "not yours"), faults.ERROR),
        (StoreError("damaged"), faults.ERROR),
        (Refusal("no head"), faults.REFUSAL),
        (Unreachable("the hub does not answer"), faults.NETWORK),
        (ConnectionResetError("reset"), faults.NETWORK),
        (TimeoutError("timed out"), faults.NETWORK),
        (requests.exceptions.ConnectTimeout("slow"), faults.NETWORK),
        (requests.exceptions.HTTPError("404"), faults.ERROR),
        (urllib3.exceptions.ConnectTimeoutError("slow"), faults.NETWORK),
        (OSError(errno.ENOSPC, "no space left"), faults.DISK),
        (OSError(errno.EDQUOT, "quota"), faults.DISK),
        (MemoryError(), faults.HOST_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), faults.HOST_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory"), faults.GPU_MEMORY),
        (RuntimeError(CUDA), faults.GPU),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), faults.GPU),
    ],
)
def test_of_each_class(error, fault):
    assert fault_of(error) == fault


def raised(error, cause):
    try:
        raise error from cause
    except type(error) as one:
        return one


def test_what_caused_an_error_decides_its_class_and_what_was_being_handled_does_not():
    assert fault_of(raised(Refusal("it does not run"), MemoryError())) == faults.HOST_MEMORY
    reset = ConnectionResetError()
    assert fault_of(raised(ValueError("b"), raised(KeyError("a"), reset))) == faults.NETWORK
    with pytest.raises(ValueError, match="of its own") as caught:
        while_handling(MemoryError())
    assert fault_of(caught.value) == faults.ERROR


def while_handling(error):
    try:
        raise error
    except type(error):
        raise ValueError("of its own")  # noqa: B904


def test_an_address_that_does_not_answer_is_the_networks():
    error = urllib.error.URLError(ConnectionRefusedError())
    assert fault_of(raised(error, ConnectionRefusedError())) == faults.NETWORK


def test_it_crosses_processes():
    sent = pickle.loads(pickle.dumps(Elsewhere(faults.GPU, "AcceleratorError", "a line")))
    assert (sent.fault, sent.error_type, str(sent)) == (faults.GPU, "AcceleratorError", "a line")


def test_the_table_names_every_class():
    (column,) = (one for one in TRIALS.columns if one.name == "failure_class")
    assert all(fault.name in column.meaning for fault in faults.FAULTS)
