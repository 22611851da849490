"""Weights come from the hub once, verified, and from the cache ever after."""

import hashlib

import huggingface_hub
import pytest
import timm as timm_library
import torch
from safetensors.torch import save

from tests.hosting.serving import BOTH, REVISION, Fault
from zoo_eval.catalog import ModelCard
from zoo_eval.errors import Refusal
from zoo_eval.models.blueprint import blueprint
from zoo_eval.models.open_model import open_model
from zoo_eval.weights import hub

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
        assert torch.equal(model.logits(view), expected)


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
    with pytest.raises(
        Refusal, match=rf"weights of {REPO} .*no such repository.* \(status 404\); correct the name"
    ):
        blueprint(CARD)
    local_hub.put(REPO, "readme.md", b"nothing else")
    with pytest.raises(
        Refusal, match=r"none of model.safetensors, pytorch_model.bin is on the hub; use a local"
    ):
        blueprint(CARD)


def test_a_hub_that_is_switched_off_is_refused_on_one_line(stocked):
    stocked.stop()
    with pytest.raises(Refusal, match=r"cannot be reached .*check the network") as refusal:
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


def test_weights_spoilt_in_the_cache_are_fetched_again(stocked, net, cache):
    open_model(CARD, CPU)
    (cached,) = cache.rglob("model.safetensors")
    blob = cached.resolve()
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-4] + b"oops")
    assert_same_logits(open_model(CARD, CPU), net)
    assert hashlib.sha256(cached.read_bytes()).hexdigest() == hub.locate(REPO).etag


PAGE = b"<!DOCTYPE html><html><body>Please log in to this network</body></html>"


def test_a_page_without_digest_instead_of_weights_is_refused(stocked):
    # What a captive portal does: it answers everything with a page of its own.
    stocked.put(REPO, "model.safetensors", PAGE)
    stocked.says_digest = False
    with pytest.raises(Refusal, match=r"\(model.safetensors\): an HTML page came instead"):
        blueprint(CARD)


def test_a_page_behind_a_redirect_is_refused(stocked, storage):
    storage.files["/login"], storage.says_digest = PAGE, False
    location = (("Location", f"{storage.address}/login"),)
    stocked.always = Fault(status=302, headers=location, methods=BOTH)
    with pytest.raises(Refusal, match=r"an HTML page came instead of a checkpoint; log in"):
        blueprint(CARD)


def test_a_file_without_digest_is_refused(stocked):
    stocked.says_digest = False
    with pytest.raises(Refusal, match=r"the file has no digest on the hub; try again later"):
        blueprint(CARD)


def test_a_page_in_place_of_the_bytes_is_refused(stocked):
    stocked.served_instead = PAGE
    with pytest.raises(Refusal, match=r"\(model.safetensors\): an HTML page came instead"):
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


SMALL = b'{"architecture": "resnet18"}'
# As `git hash-object` says.
SMALL_DIGEST = "45788c980b08891d341232fa38bc22fbc06aeb75"


@pytest.fixture
def small(local_hub):
    """A file that is kept in git itself, and so named by git's digest."""
    local_hub.put("owner/name", "config.json", SMALL)
    local_hub.always = Fault(headers=(("ETag", f'"{SMALL_DIGEST}"'),), methods=BOTH)
    return local_hub


def test_a_small_file_is_verified_by_gits_digest(small):
    found = hub.locate("owner/name", "config.json")
    assert found.etag == SMALL_DIGEST
    assert hub.download(found).read_bytes() == SMALL


def test_a_small_file_of_other_bytes_is_refused_and_does_not_stay(small):
    small.served_instead = SMALL.replace(b"18", b"50")
    with pytest.raises(Refusal, match=r"has git digest .*; it was removed, run again"):
        hub.download(hub.locate("owner/name", "config.json"))
    small.served_instead = None
    assert hub.download(hub.locate("owner/name", "config.json")).read_bytes() == SMALL


def test_a_spoilt_small_file_is_fetched_again(small):
    path = hub.download(hub.locate("owner/name", "config.json"))
    path.resolve().write_bytes(SMALL.upper())
    hub.locate.cache_clear()
    assert hub.download(hub.locate("owner/name", "config.json")).read_bytes() == SMALL


def test_a_token_goes_to_the_hub_and_not_to_its_storage(stocked, storage, content, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    storage.files["/bytes"] = content
    digest = hashlib.sha256(content).hexdigest()
    # What the hub says of large files: their digest and size, and where they are.
    headers = {
        "Location": f"{storage.address}/bytes",
        "X-Repo-Commit": REVISION,
        "X-Linked-Etag": f'"{digest}"',
        "X-Linked-Size": str(len(content)),
    }
    stocked.always = Fault(status=302, headers=tuple(headers.items()), methods=BOTH)
    assert hub.download(hub.locate(REPO)).read_bytes() == content
    assert set(stocked.tokens) == {"Bearer hf_secret"}
    assert set(storage.tokens) == {None}


LIMITED = (("RateLimit", '"resolvers";r=0;t=55'),)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("headers", [LIMITED, (("Retry-After", "55"),)])
def test_what_the_hub_limits_is_waited_for(stocked, content, waits, method, headers):
    stocked.faults += [Fault(status=429, headers=headers, methods=(method,))]
    assert hub.download(hub.locate(REPO)).read_bytes() == content
    (wait_s,) = waits
    assert 55 <= wait_s <= 1.25 * 55


def test_a_long_wait_is_slept_through_by_the_library_alone(stocked, waits):
    # Whoever else uses the library in this process gets what it does by itself.
    hub.download(hub.locate(REPO))
    hour = Fault(status=429, headers=(("Retry-After", "3600"),))
    stocked.put("owner/other", "file", b"bytes")
    stocked.faults += [hour]
    huggingface_hub.hf_hub_download("owner/other", "file")
    assert waits == [3601.0]


def test_a_disk_that_is_full_for_the_librarys_own_client_is_told_so(stocked, monkeypatch):
    # For files in Xet storage, the library says it in words only.
    def fails(*_, **__):
        raise RuntimeError(
            "Data processing error: I/O error: No space left on device (os error 28)"
        )

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fails)
    with pytest.raises(Refusal, match=r"does not fit into .*free space, or set HF_HOME"):
        hub.download(hub.locate(REPO))


@pytest.mark.parametrize("repo", ["a/b/c", "bad name", "..", ""])
def test_a_repository_of_an_impossible_name_is_refused(local_hub, repo):
    with pytest.raises(Refusal, match="correct the name") as refusal:
        hub.locate(repo)
    assert "\n" not in str(refusal.value)


def test_a_location_is_asked_for_once_but_a_failure_is_not_remembered(stocked):
    stocked.always = Fault(status=404, methods=BOTH)
    with pytest.raises(Refusal):
        hub.locate(REPO)
    stocked.always = None
    assert hub.locate(REPO) == hub.locate(REPO)
    assert stocked.asked.count(f"HEAD /{REPO}/resolve/main/model.safetensors") == 2


def test_a_file_in_a_folder_of_its_repository_is_found_again(local_hub):
    local_hub.put("owner/name", "folder/weights.bin", b"weights")
    found = hub.locate("owner/name", "folder/weights.bin")
    path = hub.download(found)
    hub.locate.cache_clear()
    local_hub.stop()
    assert hub.locate("owner/name", "folder/weights.bin") == found
    assert hub.download(found) == path


def test_a_redirect_of_the_hubs_to_what_is_not_https_is_refused(stocked):
    blueprint(CARD)
    stocked.always = Fault(status=302, headers=(("Location", "http://example.org/w"),))
    with pytest.raises(Refusal, match=r"leads elsewhere: http://example.org is not https"):
        hub.download(hub.locate(REPO))


def test_a_file_of_the_hubs_over_the_cap_is_not_asked_for(stocked, monkeypatch):
    monkeypatch.setenv("ZOO_EVAL_DOWNLOAD_BYTES", "1000")
    with pytest.raises(Refusal, match=r"a download at most 1000 B; set ZOO_EVAL_DOWNLOAD_BYTES"):
        hub.download(hub.locate(REPO))
    assert stocked.n_asked("GET") == 0
