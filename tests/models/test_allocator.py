"""A process that keeps what it frees uses it again, and gives it back when it is told to."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, psutil, torch
from zoo_eval.models import allocator

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def used():
    before = faults()
    for _ in range(20):
        torch.zeros(16 * 2**20)
    return faults() - before

process = psutil.Process()
torch.set_num_threads(1)
plain = used()
allocator.keep_freed()
used()
kept, held = used(), process.memory_info().rss
allocator.give_back()
print(plain, kept, held - process.memory_info().rss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked")
def test_freed_memory_is_used_again_and_given_back():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    plain, kept, returned = map(int, done.stdout.split())
    # Twenty times 64 MiB, in pages of 4 KiB or in huge ones.
    assert plain >= 20 * 32
    assert kept < plain / 10
    assert returned >= 60 * 2**20
