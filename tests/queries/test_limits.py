"""A query ends at its time or memory in one line, Ctrl-C ends it at once, and nothing gets out of the store."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.planted_rows import commit_layers
from tests.queries.attempts import ATTEMPTS, EXHAUSTS
from zoo_eval import cli
from zoo_eval.errors import BadInput
from zoo_eval.queries import running
from zoo_eval.queries.connection import connect
from zoo_eval.queries.limits import MEMORY_BYTES, SECONDS, Limits, limits_from
from zoo_eval.queries.running import TooLarge, TooLong, cut_off
from zoo_eval.store import Store

SECRET = "planted-secret"
SHORT = Limits(seconds=0.5, memory_bytes=256 * 2**20)
COUNTING = EXHAUSTS[0].sql


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store, and beside it what is not its own, to which symlinks in it lead."""
    folder = tmp_path_factory.mktemp("limits")
    store = Store(str(folder / "store"), create=True)
    commit_layers(store, "a", ["l"])
    outside = folder / "outside.parquet"
    pq.write_table(pa.table({"x": [SECRET]}), outside)
    (Path(store.root) / "accuracy" / "link.parquet").symlink_to(outside)
    (Path(store.root) / "out").symlink_to(folder)
    return folder


@pytest.fixture(scope="module")
def uri(place):
    return str(place / "store")


@pytest.fixture(scope="module")
def connection(uri):
    return connect(Store(uri), SHORT)


def listed(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: one.name)
def test_what_would_write_read_elsewhere_or_exhaust_is_one_line(
    attempt, place, uri, connection, tmp_path, monkeypatch
):
    planted_variable = pa.table({"x": [SECRET]})
    monkeypatch.chdir(tmp_path)
    before = listed(place)
    with pytest.raises(BadInput) as said:
        connection.query(attempt.at(str(place / "outside.parquet"), uri))
    line = str(said.value)
    assert line
    assert "\n" not in line
    assert SECRET not in line
    assert "Traceback" not in line
    assert listed(place) == before
    assert not listed(tmp_path)
    assert planted_variable.num_rows == 1
    # It is there for the next, who may have more time.
    assert connection.another(Limits()).rows("SELECT model FROM accuracy") == [{"model": "a"}]


def test_many_ways_are_tried():
    assert len({one.sql for one in ATTEMPTS}) == len({one.name for one in ATTEMPTS}) >= 40


def test_what_is_cut_off_says_which_option_to_raise(connection):
    with pytest.raises(TooLong, match=r"0\.5 s; .*--seconds"):
        connection.query(COUNTING)


def test_rows_are_counted_as_well(uri):
    small = connect(Store(uri), Limits(seconds=60, memory_bytes=64 * 2**20))
    with pytest.raises(TooLarge, match=r"64\.0 MiB of memory; .*--memory"):
        small.query("SELECT range AS a, range AS b, range AS c FROM range(10000000)")
    assert small.query("SELECT range FROM range(100000)").num_rows == 100_000


def test_what_does_not_fit_is_spilled_to_a_folder_of_its_own_that_goes_again(
    uri, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    spill = tmp_path / "spill"
    spill.mkdir()
    one = connect(Store(uri), Limits(memory_bytes=128 * 2**20, spill=spill))
    (own,) = spill.iterdir()
    assert own.stat().st_mode & 0o077 == 0
    found = one.query(
        "SELECT max(i), max(n) FROM (SELECT i, row_number() OVER (ORDER BY hash(i)) AS n "
        "FROM range(6000000) AS t(i))"
    )
    assert found.to_pylist() == [{"max(i)": 5_999_999, "max(n)": 6_000_000}]
    del one
    assert list(spill.iterdir()) == []
    assert not Path(".tmp").exists()


def test_an_interrupted_query_ends_and_the_connection_goes_on(uri):
    one = connect(Store(uri))
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        one.query(COUNTING)
    assert one.rows("SELECT count(*) AS n FROM accuracy") == [{"n": 1}]
    assert not any(thread.name == "query" for thread in threading.enumerate())


def test_ctrl_c_ends_the_command_with_one_line(uri):
    # It says when it counts: a signal before that would end it as well.
    code = (
        "import sys, threading, time; from zoo_eval.cli import main\n"
        "def say():\n"
        "    while all(t.name != 'query' for t in threading.enumerate()): time.sleep(0.05)\n"
        "    time.sleep(0.5); print('counts', flush=True)\n"
        "threading.Thread(target=say, daemon=True).start(); sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sql", COUNTING, "--store", uri],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "counts\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith("zoo-eval: interrupted")
    assert said.count("\n") == 1


def test_a_query_that_hears_nothing_is_left_behind_and_the_process_still_ends(uri):
    code = (
        "import sys, time; from zoo_eval.queries import running as r; from zoo_eval.queries.limits "
        "import Limits; r.GRACE_S = 0.1\n"
        "try: r.cut_off(lambda: time.sleep(3600), lambda: None, Limits(seconds=0.1))\n"
        "except r.TooLong as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert "cut off after 0.1 s" in done.stdout
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_process_that_grows_is_cut_off_whatever_the_database_counts(monkeypatch):
    sizes = iter([0, *[10 * MEMORY_BYTES] * 1000])
    monkeypatch.setattr(running, "_resident_bytes", lambda: next(sizes))
    ended = threading.Event()
    with pytest.raises(TooLarge, match=r"2\.0 GiB"):
        cut_off(ended.wait, ended.set, Limits())
    assert ended.is_set()


def test_what_a_query_raises_is_raised():
    def wrong():
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        cut_off(wrong, lambda: None, Limits())
    assert cut_off(lambda: 7, lambda: None, Limits()) == 7


def test_limits_are_said_by_options_or_else_by_the_environment(tmp_path):
    environment = {
        "ZOO_EVAL_QUERY_SECONDS": "5",
        "ZOO_EVAL_QUERY_MEMORY": "1GiB",
        "ZOO_EVAL_QUERY_SPILL": str(tmp_path),
    }
    assert limits_from({}, {}) == Limits(SECONDS, MEMORY_BYTES, None)
    assert limits_from({}, environment) == Limits(5.0, 2**30, tmp_path)
    assert limits_from({"--seconds": "7.5", "--memory": "512MiB"}, environment) == Limits(
        7.5, 2**29, tmp_path
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"--seconds": "soon"}, "--seconds: 'soon' is no number of seconds"),
        ({"--seconds": "0"}, "time limit is 0 s; give more than 0"),
        ({"--seconds": "-1"}, "give more than 0"),
        ({"--seconds": "nan"}, "give more than 0"),
        ({"--seconds": "inf"}, "give more than 0"),
        ({"--memory": "much"}, "--memory: 'much' is no size"),
        ({"--memory": "1KiB"}, "memory limit is 1.0 KiB; give 64.0 MiB or more"),
        ({"--spill": "no/such/folder"}, "is no folder to spill to"),
    ],
)
def test_limits_that_are_none_are_refused(options, said):
    with pytest.raises(BadInput, match=said):
        limits_from(options, {})


def test_the_command_takes_limits(uri, capsys):
    assert cli.main(["sql", COUNTING, "--store", uri, "--seconds", "0.3"]) == 2
    assert "cut off after 0.3 s" in capsys.readouterr().err
    assert cli.main(["sql", "SELECT 1 AS n", "--store", uri, "--memory", "64MiB"]) == 0


def test_another_may_have_limits_of_its_own(uri):
    first = connect(Store(uri))
    with pytest.raises(TooLong, match="cut off after 0"):
        first.another(SHORT).query(COUNTING)
    assert first.another().limits == first.limits == Limits()


def test_others_ask_at_the_same_time_and_see_what_the_first_sees(uri):
    first = connect(Store(uri))
    found, errors = list[int](), list[BaseException]()

    def ask(other):
        try:
            for name in ("leaderboard", "failures", "best_layer", "accuracy", "tolerances") * 3:
                found.append(other.query(f"FROM {name}").num_rows)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=ask, args=[first.another()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) == 60
    assert sum(found) == 4 * 3 * len(first.rows("FROM accuracy"))
