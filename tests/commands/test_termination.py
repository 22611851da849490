"""A command that a batch system ends says so in a line, and lets go of what it holds."""

import os
import signal
import threading

import pytest

from zoo_eval import cli
from zoo_eval.commands import doctor
from zoo_eval.commands.termination import terminable
from zoo_eval.store import Store


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_sigterm_is_ctrl_c_for_as_long_as_a_command_runs():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), terminable():
        terminate()
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_is_left_alone_where_no_signal_can_be_taken():
    seen = []

    def run():
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_a_command_that_is_terminated_ends_with_a_line_and_its_claim_is_released(
    tmp_path, monkeypatch, capsys
):
    store = Store(str(tmp_path / "store"), create=True)

    def held(*_):
        with store.claim():
            terminate()

    monkeypatch.setattr(doctor, "checks", held)
    assert cli.main(["doctor", "--store", store.uri]) == cli.INCOMPLETE
    assert "interrupted; what was committed is kept" in capsys.readouterr().err
    with Store(store.uri).claim():
        pass
