"""Addresses and texts: what is secret is not shown, and nothing else is changed."""

import logging
import pickle
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.privacy.canaries import KEYED, QUERY, SECRET, TOKEN, WORD
from zoo_eval import cli
from zoo_eval.commands import doctor
from zoo_eval.errors import BadInput, Refusal, StoreError, one_line, refusal_of
from zoo_eval.files.names import in_html, say
from zoo_eval.notebook.open import open as open_results
from zoo_eval.paths import SweepPath
from zoo_eval.privacy import logs
from zoo_eval.privacy.addresses import in_text, key_in, shown
from zoo_eval.store import Store

SIGNED = f"https://host.example/a/net.pt?{QUERY}"
OPEN = [
    "results/demo",
    "/data/a?b=c/who@where:1",
    "package:timm/x.pth",
    "s3://bucket/prefix/a@b",
    "s3://bucket/prefix?region=eu-1&scheme=http&endpoint_override=localhost:9000",
    "s3://bucket/prefix?endpoint_override=http%3A%2F%2Flocalhost%3A9000",
    "abfss://container@account.example/prefix",
    "https://host:8080/a/net@1.2.pt?revision=main",
    "http://[::1]:8080/net.pt",
]


@pytest.mark.parametrize("address", OPEN)
def test_an_address_with_nothing_to_hide_is_shown_as_it_is(address):
    assert shown(address) == address
    assert key_in(address) is None
    assert in_text(f"store {address}: gone") == f"store {address}: gone"


@pytest.mark.parametrize("address", KEYED)
def test_a_key_is_not_shown_and_is_noticed(address):
    assert WORD not in shown(address)
    assert WORD not in str(key_in(address))
    assert shown(shown(address)) == shown(address)
    assert shown(address).lower().startswith(re.match(r"\w+:/+", address).group().lower())


@pytest.mark.parametrize("address", KEYED)
@pytest.mark.parametrize(
    "made", [lambda a: Store(a), lambda a: Store(a, create=True), lambda a: open_results(a)]
)
def test_a_store_address_with_a_key_is_refused_in_a_line_without_it(address, made, tmp_path):
    with pytest.raises(BadInput, match=r"environment, a profile, or the machine's own role$") as no:
        made(address)
    assert WORD not in repr(no.value) + str(no.value)
    assert "\n" not in str(no.value)


SWEEP = """
store = {{ uri = "{store}" }}
models = {{ include = ["timm/test_vit.r160_in1k"] }}
stimuli = {{ photos = {{ kind = "folder", path = "package:foolbox/data" }} }}
evaluations = [{{ kind = "accuracy", stimuli = "photos" }}]
"""


@pytest.mark.parametrize("address", KEYED)
@pytest.mark.parametrize(
    "words",
    [
        ["sql", "SELECT 1", "--store"],
        ["trends", "--store"],
        ["report", "--out", "out.html", "--store"],
        ["export", "--out", "out.duckdb", "--store"],
        ["plan", "SWEEP", "--store"],
        ["sweep", "SWEEP", "--runner", "local", "--store"],
        ["plan", "KEYED"],
        ["sweep", "KEYED", "--runner", "local"],
    ],
    ids=" ".join,
)
def test_no_command_prints_a_key(words, address, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"SWEEP": "results", "KEYED": address}
    for name, store in files.items():
        (tmp_path / f"{name}.toml").write_text(SWEEP.format(store=store))
    given = [f"{one}.toml" if one in files else one for one in words]
    assert cli.main([*given, *([address] if "--store" in words else [])]) == cli.BAD
    said = capfd.readouterr()
    assert WORD not in said.out + said.err
    assert "the address holds" in said.err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["KEYED.toml", "SWEEP.toml"]


@pytest.mark.parametrize("address", [one for one in KEYED if " " not in one])
def test_a_mistyped_option_is_not_quoted_with_its_key(address, capsys):
    with pytest.raises(SystemExit):
        cli.main(["sql", "SELECT 1", "--store", "x", "--stoer", address])
    said = capsys.readouterr()
    assert "unrecognized arguments: --stoer" in said.err
    assert WORD not in said.err + said.out


def test_doctor_prints_no_key_of_a_store_or_a_variable(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"http://user:{WORD}@127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", f"http://user:{WORD}@127.0.0.1:1")
    for address in KEYED:
        checks = [doctor._store(address), doctor._hub(), *doctor._ray_address()]
        assert len(checks) == 3
        assert WORD not in doctor.as_text(checks)


def test_debug_shows_a_traceback_without_what_libraries_quote():
    code = (
        "from zoo_eval import cli\nfrom zoo_eval.storage import address\n"
        f"def broken(uri): raise OSError('cannot reach {SIGNED}')\n"
        "address.opened = broken\n"
        "cli.main(['sql', 'SELECT 1', '--store', 's3://bucket/prefix', '--debug'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
    assert "cannot reach https://host.example/a/net.pt" in done.stderr
    assert WORD not in done.stderr + done.stdout


TEXTS = [
    f"cannot fetch {SIGNED}",
    f"({SIGNED}); run again",
    f"'{SIGNED}', expected",
    f"Max retries exceeded with url: /a/net.pt?{QUERY} (Caused by x)",
    f"Illegal header value b'Bearer {WORD}0123'",
    f"token {TOKEN} is invalid",
    f"no such file (/home/x/https:/host.example/net.pt?{QUERY})",
    f"https://user:{WORD}@proxy:3128 refused",
    f"two: {SIGNED} and https://h.example/b#{WORD}",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    "made",
    [
        lambda text: one_line(RuntimeError(text)),
        lambda text: str(refusal_of(OSError(text), "x")),
        *(
            lambda text, kind=kind: repr(pickle.loads(pickle.dumps(kind(text))))
            for kind in (BadInput, Refusal, StoreError)
        ),
        in_html,
        in_text,
    ],
)
def test_no_message_or_page_holds_what_a_library_quoted(text, made):
    assert WORD not in made(text)
    assert len(made(text)) >= len("b'...'")


@pytest.mark.parametrize("text", TEXTS)
def test_no_line_of_output_or_log_holds_it(text, capfd, caplog):
    say(text)
    logs.hide_secrets("planted.logger", "planted.logger")
    logging.getLogger("planted.logger").warning("Error while downloading from %s: %s", text, "no")
    said = capfd.readouterr()
    assert WORD not in said.out + said.err + caplog.text
    assert "Error while downloading from" in caplog.text


@pytest.mark.parametrize("name", ["huggingface_hub.file_download", "httpx"])
def test_the_logs_of_the_hubs_library_are_among_them(name, caplog):
    import zoo_eval.weights.hub  # noqa: F401

    with caplog.at_level(logging.INFO, name):
        logging.getLogger(name).info("GET %s", SIGNED)
    assert WORD not in caplog.text


def test_values_of_secret_variables_are_hidden_wherever_they_stand(monkeypatch):
    text = f"Access denied for {SECRET}!"
    assert in_text(text) == text
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert in_text(text) == "Access denied for ...!"


@pytest.mark.parametrize(
    "text",
    [
        "why? a = b",
        "the model `a?b` has x=1, y=2; correct it",
        "SELECT a FROM b WHERE c = 'd' AND e ? 'f'",
        "https://host/a: not there; correct the address",
        "bearer of news",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert in_text(text) == text


@given(st.text(max_size=60))
def test_a_text_is_the_same_after_a_second_time(text):
    assert in_text(in_text(f"a https://h/x?{text} b")) == in_text(f"a https://h/x?{text} b")


def test_a_path_of_a_sweep_shows_its_address_without_the_query(tmp_path):
    path = SweepPath.of(SIGNED, tmp_path)
    assert WORD not in f"{path} {path!r}"
    assert path.address == SIGNED
    assert str(SweepPath.of("a?b=c", tmp_path)) == "a?b=c"
