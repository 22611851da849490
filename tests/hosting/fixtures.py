"""A hub on this machine, which `huggingface_hub` takes for the real one, and empty caches."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import file_download
from huggingface_hub.utils import _http

from tests.hosting.faults import Scene
from tests.hosting.serving import Hub
from zoo_eval.models.blueprint import blueprint
from zoo_eval.sweep import patience
from zoo_eval.weights import hub, transfers, urls


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of hub files and addresses, and nothing remembered of earlier ones."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("ZOO_EVAL_CACHE", str(tmp_path / "own_cache"))
    monkeypatch.delenv("ZOO_EVAL_CACHE_BYTES", raising=False)
    forget_models = blueprint.cache_clear

    def forget():
        forget_models()
        hub.locate.cache_clear()

    # What a test calls to go on as in another process.
    monkeypatch.setattr(blueprint, "cache_clear", forget)
    forget()
    yield tmp_path / "cache"
    forget()


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited between tries, which take no time here; three tries."""
    waited = []
    library = SimpleNamespace(sleep=waited.append)
    monkeypatch.setattr(file_download, "time", library)
    monkeypatch.setattr(_http, "time", library)
    monkeypatch.setattr(transfers, "sleep", waited.append)
    monkeypatch.setattr(transfers, "TRIES", 3)
    monkeypatch.setattr(patience, "sleep", lambda seconds: None)
    return waited


@pytest.fixture
def local_hub(cache, monkeypatch, waits):
    """A running hub, which `huggingface_hub` takes for the real one."""
    local = Hub()
    local.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    huggingface_hub.close_session()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", local.address)
    monkeypatch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        local.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield local
    local.stop()
    huggingface_hub.close_session()


@pytest.fixture
def scene(local_hub, tmp_path, monkeypatch, request):
    """A machine that asks for a file in the way that the test's parameter names."""
    # Small enough that some blocks have come before a fault.
    monkeypatch.setattr(urls, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    scene = Scene(local_hub, tmp_path, getattr(request, "param", "address"))
    scene.prepare()
    yield scene
    scene.mend()


@pytest.fixture
def storage(local_hub):
    """A second server, at another address: where the hub's redirects lead."""
    other = Hub()
    other.start()
    yield other
    other.stop()
