"""A planted store of few models, and a server of it that is asked without a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from tests.planted_rows import ledger_row, result_row
from zoo_eval.explorer.app import application
from zoo_eval.explorer.desks import Bounds, Desks
from zoo_eval.explorer.guard import Door
from zoo_eval.explorer.watch import Watch
from zoo_eval.queries.limits import Limits
from zoo_eval.store import Store
from zoo_eval.trial import Trial

NAMES = ['local/<a&"b">', "local/</script>", "local/plain"]
TOP1 = [0.9, 0.5, 0.25]
# Small, so that whoever exceeds them does so soon.
BOUNDS = Bounds(Limits(seconds=2.0, memory_bytes=128 * 2**20), most_rows=1000, most_bytes=2**20)


def store_at(folder: Path, names: list[str] = NAMES) -> Store:
    """A new store with each model's card and accuracy."""
    store = Store(str(folder), create=True)
    for name, top1 in zip(names, TOP1):
        add(store, name, top1)
    return store


def add(store: Store, model: str, top1: float) -> None:
    """Commits one model's card and accuracy."""
    gate, accuracy = (
        Trial(kind, 1, "planted", model=model, weights_digest=f"w {model}", stimuli="photos",
              stimuli_digest="s", transform={})
        for kind in ("gate", "accuracy")
    )  # fmt: skip
    rows = {
        "models": [result_row("models", gate, gate="pass", family="planted", n_params=10)],
        "accuracy": [result_row("accuracy", accuracy, top1=top1, n_images=100)],
    }
    store.commit(rows, [ledger_row(gate), ledger_row(accuracy)])


def renew(client: TestClient) -> None:
    """Does what the threads of a server's watch do again and again."""
    client.watch.look()  # type: ignore[attr-defined]
    client.watch.make_report()  # type: ignore[attr-defined]


@contextmanager
def served(
    folder: Path, token: str | None = None, host: str = "127.0.0.1", bounds: Bounds = BOUNDS
) -> Iterator[TestClient]:
    """A client of a store's server; its `watch` looks when a test says so (`renew`), not in a thread."""
    watch = Watch(str(folder), Limits())
    desks = Desks(str(folder), bounds)
    app = application(watch, desks, Door.of(host, token))
    client = TestClient(app, "http://127.0.0.1:8020", follow_redirects=False)
    client.watch, client.desks = watch, desks  # type: ignore[attr-defined]
    try:
        yield client
    finally:
        desks.close()
