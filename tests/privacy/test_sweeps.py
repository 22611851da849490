"""Whole sweeps with planted secrets, on both runners: not one is in a row, page, line, log or file name."""

import hashlib
import os
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch

from tests.conftest import TEMPORARY
from tests.privacy.canaries import QUERY, SECRET, TOKEN, WORD, in_files, rows
from zoo_eval import cli
from zoo_eval.digests import DIGEST_CHARACTERS
from zoo_eval.models.blueprint import blueprint, weights_digest
from zoo_eval.notebook.open import open as open_results
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import page
from zoo_eval.runners.on_ray import session
from zoo_eval.store import Store
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import LocalModelSection
from zoo_eval.weights import urls

pytestmark = pytest.mark.ray

HEAD = """
[store]
uri = "{store}"
[models]
include = ["local/*"]
[stimuli.photos]
kind = "folder"
path = "package:foolbox/data"
include = ["imagenet_0[01]*.jpg"]
label_pattern = 'imagenet_\\d+_(\\d+)'
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""
CHECKPOINT = """
[[models.local]]
name = "{name}"
architecture = "timm/test_vit"
checkpoint = "{address}"
sha256 = "{sha256}"
"""
FACTORY = """
[[models.local]]
name = "{name}"
factory = "tests.privacy.planted_models:{name}"
"""
FACTORIES = (
    "quotes_an_address",
    "quotes_half_an_address",
    "quotes_a_header",
    "quotes_a_variable",
)
GOOD = ("good", "moved")
# What is said of a checkpoint that cannot be had, whose address is signed.
REASONS = {
    "forbidden": "may not be read (status 403)",
    "gone": "is not there any more (status 404)",
    "odd": "cannot be had (status 418)",
    "a_page": "an HTML page came",
    "other_bytes": "the file has SHA-256",
    "elsewhere": "leads elsewhere: http://host.example is not https",
}
STATUS = {"/forbidden": 403, "/gone": 404, "/odd": 418}


def _handler(weights):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            place = self.path.partition("?")[0]
            target = {
                "/moved": f"/good?again&{QUERY}",
                "/elsewhere": f"http://host.example/?{QUERY}",
            }
            if QUERY not in self.path:
                self.send_error(401)
            elif place in STATUS:
                self.send_error(STATUS[place], f"planted {self.path}")
            elif place in target:
                self.send_response(302)
                self.send_header("Location", target[place])
                self.end_headers()
            else:
                bodies = {"/good": weights, "/a_page": b"<html>log in</html>"}
                self.send_response(200)
                self.end_headers()
                self.wfile.write(bodies.get(place, b"other"))

        def log_message(self, *said):
            """Nothing: what the server writes is no output of ours."""

    return Handler


@pytest.fixture(scope="module")
def served():
    """A server of signed addresses, and the SHA-256 of the one good checkpoint there."""
    import timm

    net = timm.create_model("test_vit", pretrained=False)
    weights = safetensors.torch.save(net.state_dict())
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(weights))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(port=server.server_port, sha256=hashlib.sha256(weights).hexdigest())
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Secrets of the environment, and a cache of its own: the cluster's processes have them too."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("ZOO_EVAL_CACHE", str(cache))
        yield cache


@pytest.fixture(scope="module")
def cluster(environment):
    import ray

    session.start(num_cpus=2, object_store_memory=10**8, log_to_driver=True)
    yield
    ray.shutdown()


def written(served, store):
    """A sweep file whose every model meets a secret in its own way."""
    home = f"http://127.0.0.1:{served.port}"
    addresses = {name: f"{home}/{name}?{QUERY}" for name in (*GOOD, *REASONS)}
    addresses["with_a_password"] = f"http://user:{WORD}@127.0.0.1:{served.port}/good?{QUERY}"
    addresses["with_a_space"] = f"{home}/good?sig=a {WORD}"
    models = [
        CHECKPOINT.format(name=name, address=address, sha256=served.sha256)
        for name, address in addresses.items()
    ]
    models += [FACTORY.format(name=name) for name in FACTORIES]
    return HEAD.format(store=store) + "".join(models)


@contextmanager
def _everything_to(file):
    """Sends all output to a file, also what other processes and libraries in C write."""
    kept = [os.dup(1), os.dup(2)]
    with file.open("a", buffering=1) as all_of_it:
        for descriptor in (1, 2):
            os.dup2(all_of_it.fileno(), descriptor)
        try:
            with redirect_stdout(all_of_it), redirect_stderr(all_of_it):
                yield
        finally:
            for descriptor, before in zip((1, 2), kept, strict=True):
                os.dup2(before, descriptor)
                os.close(before)


@pytest.fixture(scope="module", params=["local", "ray"])
def swept(request, served, environment, tmp_path_factory):
    """A swept store, and all that its plan and sweep have printed, by whichever process."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    folder = tmp_path_factory.mktemp("swept")
    file = folder / "sweep.toml"
    file.write_text(written(served, folder / "store"))
    blueprint.cache_clear()
    with _everything_to(folder / "said.txt"):
        assert cli.main(["plan", str(file)]) == cli.INCOMPLETE
        assert cli.main(["sweep", str(file), "--runner", request.param]) == cli.INCOMPLETE
        assert cli.main(["plan", str(file)]) == cli.INCOMPLETE
    store = Store(str(folder / "store"))
    said = (folder / "said.txt").read_text()
    return SimpleNamespace(folder=folder, file=file, store=store, said=said, rows=rows(store))


def statuses(store):
    found = connect(store).rows(
        "SELECT model, list(DISTINCT status) AS status, max(error_message) AS said FROM trials "
        "WHERE evaluation = 'accuracy' GROUP BY model"
    )
    return {row["model"].removeprefix("local/"): (row["status"], row["said"]) for row in found}


def test_signed_addresses_are_read_and_what_fails_says_why(swept):
    found = statuses(swept.store)
    assert {name for name, (status, _) in found.items() if status == ["ok"]} == set(GOOD)
    for name, reason in REASONS.items():
        assert found[name][0] == ["refused"]
        assert reason in found[name][1]
    assert "a user name or password stands before the @" in found["with_a_password"][1]
    assert "it has a space" in found["with_a_space"][1]
    for name in FACTORIES:
        assert f"{name} raised" in found[name][1]


def test_messages_name_the_address_without_its_query(swept):
    said = statuses(swept.store)["forbidden"][1]
    assert "http://127.0.0.1:" in said
    assert "/forbidden may not be read" in said


def test_a_file_signed_anew_is_the_same_file_and_is_fetched_once(served, environment):
    address = f"http://127.0.0.1:{served.port}/good"
    first, again = (
        urls.download(f"{address}?{QUERY}&Date={day}", served.sha256)
        for day in ("monday", "sunday")
    )
    assert first == again
    # Files that were kept before addresses could be signed are found under their names.
    unsigned = hashlib.sha256(f"{address}\n{served.sha256}".encode()).hexdigest()[:16]
    assert first == environment / "urls" / unsigned / "good"


def test_a_signature_is_no_part_of_what_a_model_is(served, environment):
    address = f"http://127.0.0.1:{served.port}/good"
    cards = [
        LocalModelSection.model_validate(
            {
                "name": "net",
                "architecture": "timm/test_vit",
                "checkpoint": address + query,
                "sha256": served.sha256,
            }
        ).card()
        for query in ("", f"?{QUERY}")
    ]
    plain, signed = map(weights_digest, cards)
    assert plain == signed == served.sha256[:DIGEST_CHARACTERS]


def test_no_row_of_any_table_or_view_holds_a_secret(swept):
    assert len(swept.rows) > 10_000
    assert WORD not in swept.rows


def test_nothing_that_was_printed_holds_a_secret(swept):
    assert all(f"local/{name}" in swept.said for name in (*REASONS, *FACTORIES))
    assert WORD not in swept.said


def test_no_file_of_the_store_holds_a_secret(swept):
    assert Path(swept.store.root, "trials").is_dir()
    assert in_files(Path(swept.store.root)) == []


def test_no_file_of_the_cache_holds_a_secret_or_is_called_by_it(swept, environment):
    kept = [path for path in environment.rglob("good") if path.is_file()]
    assert kept
    assert in_files(environment) == []


def test_no_page_or_export_holds_a_secret(swept, tmp_path, capfd):
    store = str(swept.store.uri)
    for command, name in (("report", "page.html"), ("export", "zoo.duckdb")):
        assert cli.main([command, "--store", store, "--out", str(tmp_path / name)]) == cli.OK
    for words in (["sql", "FROM failures"], ["sql", "FROM trials", "--format", "json"]):
        cli.main([*words, "--store", store])
    said = capfd.readouterr()
    assert "quotes_a_header" in said.out
    assert "quotes_a_header" in (tmp_path / "page.html").read_text()
    assert WORD not in said.out + said.err
    assert in_files(tmp_path) == []


def test_no_repr_in_a_notebook_holds_a_secret(swept):
    results = open_results(swept.store.uri)
    sweep = sweep_file.read(swept.file, swept.folder)
    cards = [model.card() for model in sweep.models.local]
    shown = [repr(results), repr(results.failures()), results.failures()._repr_html_()]
    assert WORD in str(cards[0].url)
    assert WORD not in " ".join([*shown, repr(cards), repr(sweep), str(sweep), repr(sweep.models)])


def test_no_log_of_the_cluster_holds_a_secret(cluster, swept):
    logs = [path for path in TEMPORARY.glob("zoo*/ray/session_*/logs") if not path.is_symlink()]
    assert any(list(folder.glob("worker-*")) for folder in logs)
    assert [file for folder in logs for file in in_files(folder)] == []


@pytest.mark.parametrize(
    "address",
    ["http://h/?{}", "s3://{}:{}@bucket/prefix", "https://h/#{}"],
    ids=["http", "s3", "hash"],
)
def test_a_report_of_a_store_at_an_odd_address_shows_none_of_it(swept, address):
    html = page(connect(swept.store), address.format(WORD, WORD))
    assert "Store: " in html
    assert WORD not in html
