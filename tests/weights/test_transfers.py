"""Trying again, waiting as asked, and telling right bytes from wrong ones."""

import hashlib
import io
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import parse_ratelimit_headers
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from zoo_eval.errors import Refusal
from zoo_eval.weights import transfers
from zoo_eval.weights.transfers import Interrupted

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def failing(*errors):
    """An attempt that fails so often, and its number of calls."""
    left, calls = list(errors), []

    def attempt():
        calls.append(None)
        if left:
            raise left.pop(0)
        return "result"

    return attempt, calls


@pytest.mark.parametrize("n_failures", [0, 1, 2])
def test_an_attempt_is_tried_again_with_doubled_waits(waits, n_failures):
    attempt, calls = failing(*[Interrupted("gone")] * n_failures)
    assert transfers.patiently("a file", attempt) == "result"
    assert len(calls) == n_failures + 1
    for wait_s, least in zip(waits, (1.0, 2.0)[:n_failures], strict=True):
        assert least <= wait_s <= 1.25 * least


def test_after_the_last_try_the_reason_is_told_and_nothing_waited_for(waits):
    attempt, calls = failing(*[Interrupted("gone")] * 3)
    with pytest.raises(
        Refusal, match=r"^a file cannot be reached \(gone\) after 3 tries; check the network"
    ):
        transfers.patiently("a file", attempt)
    assert (len(calls), len(waits)) == (3, 2)


def test_a_wait_that_is_asked_for_is_kept(waits):
    transfers.patiently("a file", failing(Interrupted("busy", 60.0))[0])
    (wait_s,) = waits
    assert 60.0 <= wait_s <= 75.0


def test_a_longer_wait_than_any_is_refused_at_once(waits):
    attempt, calls = failing(Interrupted("busy", transfers.LONGEST_WAIT_S + 1))
    with pytest.raises(Refusal, match=r"\(busy\): the server asks to wait 331 s; run again then"):
        transfers.patiently("a file", attempt)
    assert (len(calls), waits) == (1, [])


@pytest.mark.parametrize("error", [Refusal("no"), ValueError("a defect"), KeyboardInterrupt()])
def test_what_will_not_pass_is_raised_at_once(waits, error):
    attempt, calls = failing(error)
    with pytest.raises(type(error)):
        transfers.patiently("a file", attempt)
    assert (len(calls), waits) == (1, [])


def test_statuses_that_may_pass():
    passing = {status for status in range(100, 600) if transfers.passing(status)}
    assert passing == {408, 425, 429, *range(500, 600)}


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("0", 0.0),
        (format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120.0),
        (format_datetime(NOW - timedelta(minutes=2), usegmt=True), 0.0),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        # Without a time zone, it says no time.
        ("Sun, 01 Mar 2026 13:00:30 -0000", 0.0),
        (None, 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("²", 0.0),
        ("Sun, 31 Feb 2026 12:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(monkeypatch, header, expected_s):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return NOW.astimezone(tz)

    monkeypatch.setattr(transfers, "datetime", Clock)
    assert transfers.retry_after_s(header) == expected_s


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_header_is_an_error(text):
    assert transfers.retry_after_s(text) >= 0.0
    assert transfers.asked_wait_s(text, text) >= 0.0


@pytest.mark.parametrize(
    "header",
    ['"api";r=0;t=55', '"resolvers"; r = 0 ; t = 299', '"api";r=17;t=55', "", "r=0"],
)
def test_a_used_up_rate_limit_is_waited_for_as_the_library_reads_it(header):
    limit = parse_ratelimit_headers({"RateLimit": header})
    expected_s = limit.reset_in_seconds if limit and limit.remaining == 0 else 0.0
    assert transfers.asked_wait_s(None, header) == expected_s
    assert transfers.asked_wait_s("100", header) == max(100.0, expected_s)


def test_the_hubs_longest_wait_is_kept_not_refused():
    assert transfers.asked_wait_s(None, '"resolvers";r=0;t=300') <= transfers.LONGEST_WAIT_S


def pickled():
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"<!DOCTYPE html><html>", True),
        (b"<!doctype HTML>", True),
        (b"\r\n\t <HTML lang='en'>", True),
        (b"\xef\xbb\xbf<html>", True),
        (b"<?xml version='1.0'?><html>", True),
        (b"<!-- moved --><html>", True),
        (b"<head><title>Log in</title>", True),
        (b"", False),
        (b'{"error": "gone"}', False),
        # A header of 60 bytes, as safetensors says its length.
        (b"<\0\0\0\0\0\0\0{", False),
        (save({"w": torch.zeros(2)}), False),
        (pickled(), False),
    ],
)
def test_a_page_is_told_from_a_checkpoint(tmp_path, start, expected):
    assert transfers.is_page(start) is expected
    (tmp_path / "file").write_bytes(start)
    assert transfers.is_page_file(tmp_path / "file") is expected


def test_an_address_is_asked_whether_it_has_a_page(local_hub):
    local_hub.put("owner/name", "page", b"<html>")
    local_hub.put("owner/name", "weights", b"weights")
    address = f"{local_hub.address}/owner/name/resolve/main"
    assert transfers.is_page_there(f"{address}/page")
    assert not transfers.is_page_there(f"{address}/weights")
    assert not transfers.is_page_there(f"{address}/absent")
    local_hub.stop()
    assert not transfers.is_page_there(f"{address}/page")


def test_a_digest_is_that_of_the_bytes_and_follows_them(tmp_path, monkeypatch):
    file, reads = tmp_path / "file", []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda *args: (reads.append(None), digest(*args))[1]
    )
    for content in (b"one", b"two", b"three"):
        file.write_bytes(content)
        for _ in range(3):
            assert transfers.sha256(file) == hashlib.sha256(content).hexdigest()
    assert len(reads) == 3


# As `git hash-object` says.
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_gits_digest(tmp_path, content, expected):
    (tmp_path / "file").write_bytes(content)
    assert transfers.git_digest(tmp_path / "file") == expected


def test_offline_is_refused_with_the_next_step(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    transfers.refuse_offline("a file")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        Refusal, match=re.escape("a file: not on this machine, which is offline")
    ) as refusal:
        transfers.refuse_offline("a file")
    assert "unset it" in str(refusal.value)
