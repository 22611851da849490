"""Weights come from the hub once, verified, and from the cache ever after."""

import hashlib

import pytest
import timm as timm_library
import torch
from safetensors.torch import save

from tests.sources.conftest import REVISION
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models import blueprint, open_model
from zoo_eval.sources import hub

ARCHITECTURE = "test_efficientnet.r160_in1k"
REPO = f"timm/{ARCHITECTURE}"
CARD = ModelCard(f"timm/{ARCHITECTURE}", "timm", f"timm/{ARCHITECTURE}")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net():
    """A network with random weights: the hub's file is made from it."""
    torch.manual_seed(3)
    return timm_library.create_model("test_efficientnet").eval()


@pytest.fixture
def content(net):
    return save(net.state_dict())


@pytest.fixture
def stocked(local_hub, content):
    local_hub.put(REPO, "model.safetensors", content)
    return local_hub


def assert_same_logits(model, net):
    view = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net(model.transform.normalise(view))
        torch.testing.assert_close(model.logits(view), expected, rtol=0, atol=0)


def test_the_digest_is_known_without_a_download(stocked, content, cache):
    digest = blueprint(CARD).weights_digest
    assert digest == hashlib.sha256(content).hexdigest()[:32]
    assert stocked.asked == [f"HEAD /{REPO}/resolve/main/model.safetensors"]
    assert not list(cache.rglob("*.safetensors"))


def test_opening_downloads_once_and_gives_the_logits_of_the_source(stocked, net):
    assert_same_logits(open_model(CARD, CPU), net)
    assert_same_logits(open_model(CARD, CPU), net)
    assert sum(line.startswith("GET") for line in stocked.asked) == 1


def test_the_second_time_the_hub_may_be_switched_off(stocked, net):
    digest = blueprint(CARD).weights_digest
    open_model(CARD, CPU)
    stocked.stop()
    blueprint.cache_clear()  # as in another process
    assert blueprint(CARD).weights_digest == digest
    assert_same_logits(open_model(CARD, CPU), net)


def test_a_bin_file_is_found_where_there_are_no_safetensors(local_hub, net, tmp_path):
    torch.save(net.state_dict(), tmp_path / "w.bin")
    local_hub.put(REPO, "pytorch_model.bin", (tmp_path / "w.bin").read_bytes())
    assert hub.locate(REPO).name == "pytorch_model.bin"
    assert_same_logits(open_model(CARD, CPU), net)


def test_an_absent_repository_and_an_absent_file_are_refused(local_hub):
    with pytest.raises(Refusal, match=f"weights of {REPO} cannot be reached .*RepositoryNotFound"):
        blueprint(CARD)
    local_hub.put(REPO, "readme.md", b"nothing else")
    with pytest.raises(
        Refusal, match=r"none of model.safetensors, pytorch_model.bin is on the hub"
    ):
        blueprint(CARD)


def test_a_hub_that_is_switched_off_is_refused_on_one_line(stocked):
    stocked.stop()
    with pytest.raises(Refusal, match=r"cannot be reached .*use a local checkpoint") as refusal:
        blueprint(CARD)
    assert "\n" not in str(refusal.value)


def test_corrupted_bytes_are_refused_and_do_not_stay_in_the_cache(stocked, content, net, cache):
    stocked.served_instead = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(Refusal, match=r"has SHA-256 .*, expected .*; it was removed, run again"):
        open_model(CARD, CPU)
    assert not [file for file in cache.rglob("*") if file.is_file() and file.stat().st_size > 1000]
    stocked.served_instead = None
    assert_same_logits(open_model(CARD, CPU), net)


def test_a_file_that_is_too_short_is_refused_and_does_not_stay_in_the_cache(stocked, content, net):
    stocked.served_instead = content[: len(content) // 2]
    with pytest.raises(Refusal, match=r"cannot be reached .*Consistency check failed"):
        open_model(CARD, CPU)
    stocked.served_instead = None
    assert_same_logits(open_model(CARD, CPU), net)


def test_weights_spoilt_in_the_cache_are_refused_and_fetched_again(stocked, net, cache):
    open_model(CARD, CPU)
    (cached,) = cache.rglob("model.safetensors")
    blob = cached.resolve()
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-4] + b"oops")
    with pytest.raises(Refusal, match="it was removed, run again"):
        open_model(CARD, CPU)
    assert_same_logits(open_model(CARD, CPU), net)


PAGE = b"<!DOCTYPE html><html><body>Please log in to this network</body></html>"


def test_a_page_without_digest_instead_of_weights_is_refused(stocked):
    # What a captive portal does: it answers everything with a page of its own.
    stocked.put(REPO, "model.safetensors", PAGE)
    stocked.says_digest = False
    with pytest.raises(Refusal, match=r"model.safetensors has no digest on the hub"):
        blueprint(CARD)


def test_a_page_in_place_of_the_bytes_is_refused(stocked):
    stocked.served_instead = PAGE
    with pytest.raises(Refusal, match="cannot be reached"):
        open_model(CARD, CPU)


def test_a_page_that_was_uploaded_as_weights_is_refused(stocked):
    stocked.put(REPO, "model.safetensors", PAGE)
    with pytest.raises(Refusal, match=f"weights of timm/{ARCHITECTURE} cannot be loaded"):
        open_model(CARD, CPU)


def test_weights_of_another_architecture_are_refused(stocked):
    other = timm_library.create_model("test_resnet")
    stocked.put(REPO, "model.safetensors", save(other.state_dict()))
    with pytest.raises(Refusal, match="cannot be loaded") as refusal:
        open_model(CARD, CPU)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("main_is_noted", [True, False])
def test_a_cached_file_is_known_by_its_etag_even_through_a_shared_blob(cache, main_is_noted):
    # huggingface_hub 2 keeps Xet files once for all repositories, under another hash.
    repo = cache / "models--owner--name"
    shared = cache / "blobs" / "ab" / ("ab" * 32)
    for folder in (repo / "blobs", repo / "snapshots" / REVISION, repo / "refs", shared.parent):
        folder.mkdir(parents=True)
    shared.write_bytes(b"weights")
    etag = hashlib.sha256(b"weights").hexdigest()
    (repo / "blobs" / etag).symlink_to(shared)
    (repo / "snapshots" / REVISION / "model.safetensors").symlink_to(f"../../blobs/{etag}")
    if main_is_noted:
        (repo / "refs" / "main").write_text(REVISION)
    found = hub.locate("owner/name")
    assert (found.revision, found.etag) == (REVISION, etag)
    assert hub.download(found).read_bytes() == b"weights"


def test_a_cache_without_links_is_known_by_its_bytes(cache):
    folder = cache / "models--owner--name" / "snapshots" / REVISION
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert hub.locate("owner/name").etag == hashlib.sha256(b"weights").hexdigest()


def test_an_architecture_without_pretrained_weights_is_refused():
    with pytest.raises(Refusal, match="has no pretrained weights on the hub"):
        blueprint(ModelCard("m", "timm", "timm/efficientnet_lite1"))
