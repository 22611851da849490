"""Weights on the Hugging Face hub: found without downloading, downloaded once, verified."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub as hub
from huggingface_hub.errors import EntryNotFoundError

from zoo_eval.digests import DIGEST_CHARACTERS
from zoo_eval.errors import Refusal

FILES = ("model.safetensors", "pytorch_model.bin")
SHA256_CHARACTERS = 64


@dataclass(frozen=True)
class HubFile:
    """One file of one revision; `etag` is its SHA-256 for large files."""

    repo: str
    name: str
    revision: str
    etag: str

    @property
    def digest(self) -> str:
        """The weights digest: equals that of the same file read from disk."""
        return self.etag[:DIGEST_CHARACTERS]


def locate(repo: str, filename: str | None = None) -> HubFile:
    """The weights of a repository: from the local cache if there, else by asking the hub.

    Raises:
        Refusal: the repository or its weights cannot be reached.
    """
    names = (filename,) if filename else FILES
    for name in names:
        if (path := _cached(repo, name)) is not None:
            return HubFile(repo, name, path.parent.name, _etag(path))
    for name in names:
        try:
            metadata = hub.get_hf_file_metadata(hub.hf_hub_url(repo, name))
        except EntryNotFoundError:
            continue
        except Exception as error:
            raise _unreachable(repo, error) from error
        if metadata.etag is None or metadata.commit_hash is None:
            raise Refusal(f"weights of {repo}: {name} has no digest on the hub; try again later")
        return HubFile(repo, name, metadata.commit_hash, metadata.etag)
    raise Refusal(f"weights of {repo}: none of {', '.join(names)} is on the hub")


def download(file: HubFile) -> Path:
    """The file on this machine, verified against its SHA-256.

    Raises:
        Refusal: it cannot be downloaded, or its bytes are not the expected ones.
    """
    try:
        path = Path(hub.hf_hub_download(file.repo, file.name, revision=file.revision))
    except Exception as error:
        raise _unreachable(file.repo, error) from error
    if len(file.etag) == SHA256_CHARACTERS:
        found = _sha256(path)
        if found != file.etag:
            path.resolve().unlink()
            raise Refusal(
                f"weights of {file.repo}: the downloaded {file.name} has SHA-256 {found[:12]}..., "
                f"expected {file.etag[:12]}...; it was removed, run again"
            )
    return path


def _cached(repo: str, name: str) -> Path | None:
    """A file in the local cache, snapshots/<revision>/<name>: the main revision's, else the newest.

    A download by revision, as `download` makes it, leaves no note of what `main` was.
    """
    main = hub.try_to_load_from_cache(repo, name)
    if isinstance(main, str):
        return Path(main)
    folder = Path(hub.constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    there = [path for path in folder.glob(f"snapshots/*/{name}") if path.is_file()]
    return max(there, key=lambda path: path.lstat().st_mtime, default=None)


def _etag(path: Path) -> str:
    """A cached file's etag: it is a link to blobs/<etag>, which may itself be a link further on."""
    return path.readlink().name if path.is_symlink() else _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreachable(repo: str, error: Exception) -> Refusal:
    reason = " ".join(str(error).split())[:200]
    return Refusal(
        f"weights of {repo} cannot be reached ({type(error).__name__}: {reason}); check the "
        "network, log in if the model is gated, or use a local checkpoint"
    )
