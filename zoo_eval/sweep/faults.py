"""Faults: classes of what goes wrong, by what is done about them; the column `failure_class`.

What is the model's or the evaluation's own is a row at once. What may be the machine's is tried again
in a fresh process, elsewhere where there is an elsewhere, and is a row when it happened too often.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from zoo_eval.errors import Refusal, Unreachable, ZooEvalError, refusal_of

FULL = (errno.ENOSPC, errno.EDQUOT)
# By name, since not all are installed everywhere: whose errors of these names are the network's.
CLIENTS = ("requests", "httpx", "httpcore", "urllib3", "huggingface_hub")
UNREACHABLE = ("Connection", "Connect", "Timeout", "TimedOut", "Network", "RemoteProtocol", "Proxy")
# What PyTorch says, as a plain RuntimeError, where a process can use its GPU no more.
BROKEN_GPU = ("CUDA error", "cuDNN error", "CUBLAS_STATUS", "CUFFT_", "device-side assert")
NO_MEMORY = ("can't allocate memory", "Cannot allocate memory", "Unable to allocate")


@dataclass(frozen=True)
class Fault:
    """A class of failures; `elsewhere` says whether another process may do better."""

    name: str
    elsewhere: bool = False


ERROR = Fault("error")
REFUSAL = Fault("refusal")
NETWORK = Fault("network", elsewhere=True)
DISK = Fault("disk", elsewhere=True)
HOST_MEMORY = Fault("host_memory", elsewhere=True)
GPU_MEMORY = Fault("gpu_memory")
# The GPU failed, or what this process has of it: nothing that this process runs on it can be trusted.
GPU = Fault("gpu", elsewhere=True)
# Of processes that are gone.
HANG = Fault("hang", elsewhere=True)
PROCESS = Fault("process", elsewhere=True)
NODE = Fault("node", elsewhere=True)

FAULTS = (ERROR, REFUSAL, NETWORK, DISK, HOST_MEMORY, GPU_MEMORY, GPU, HANG, PROCESS, NODE)
# What a plan may meet, and not meet a minute later.
PASSING = (NETWORK, DISK, HOST_MEMORY)


class Elsewhere(ZooEvalError):
    """A group was not done for what may be this process's or machine's fault; nothing was recorded.

    `said` is the class of the error and its message.
    """

    def __init__(self, fault: Fault, error_type: str, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.error_type = error_type

    def __reduce__(self) -> tuple[type["Elsewhere"], tuple[Fault, str, str]]:
        # It crosses processes, and an exception is pickled by its message alone.
        return Elsewhere, (self.fault, self.error_type, str(self))


class Passing(Refusal):
    """A refusal for what may pass, of class `fault`: the same sweep asks again."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    def __reduce__(self) -> tuple[type["Passing"], tuple[Fault, str]]:
        return Passing, (self.fault, str(self))


def refused(error: BaseException, what: str) -> Refusal:
    """`refusal_of`, which says where it may pass that it may."""
    refusal, fault = refusal_of(error, what), fault_of(error)
    return Passing(fault, str(refusal)) if fault in PASSING else refusal


def fault_of(error: BaseException) -> Fault:
    """The class of an error that a model or an evaluation raised, from it or from what caused it."""
    for one in _chain(error):
        if (found := _known(one)) is not None:
            return found
    return REFUSAL if isinstance(error, Refusal) else ERROR


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from; what was merely being handled meanwhile is not meant."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__


def _known(error: BaseException) -> Fault | None:
    if isinstance(error, Passing):
        return error.fault
    if isinstance(error, torch.OutOfMemoryError):
        return GPU_MEMORY
    if isinstance(error, MemoryError) or _says(error, NO_MEMORY):
        return HOST_MEMORY
    if isinstance(error, torch.AcceleratorError) or _says(error, BROKEN_GPU):
        return GPU
    if isinstance(error, OSError) and error.errno in FULL:
        return DISK
    if isinstance(error, Unreachable | ConnectionError | TimeoutError) or _is_of_a_client(error):
        return NETWORK
    return None


def _says(error: BaseException, signs: tuple[str, ...]) -> bool:
    return type(error) is RuntimeError and any(sign in str(error) for sign in signs)


def _is_of_a_client(error: BaseException) -> bool:
    return any(
        one.__module__.partition(".")[0] in CLIENTS and one.__name__.startswith(UNREACHABLE)
        for one in type(error).__mro__
    )
