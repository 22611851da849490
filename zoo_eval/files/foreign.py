"""What a file is that is not what it should be: the first thing to say of one that cannot be read."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

HEAD_BYTES = 512
# How a file begins, what it is then, and what to do; the first that fits is said.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull` for the file itself"),
    (b"/annex/objects/", "a git-annex pointer", "run `git annex get` for the file itself"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it (gunzip)"),
    (b"BZh", "compressed by bzip2", "unpack it (bunzip2)"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it (unxz)"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it (unzstd)"),
    (b"Rar!", "a RAR archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"\x00\x05\x16\x07", "the resource fork that macOS leaves beside a file", "remove it"),
    (b"\x89HDF\r\n", "an HDF5 file", "name the file that was meant"),
    (b"PAR1", "a Parquet file", "name the file that was meant"),
    (b"\x93NUMPY", "a NumPy array", "name the file that was meant"),
    (b"MATLAB 5.0", "a MATLAB file", "name the file that was meant"),
    (b"%PDF", "a PDF document", "name the file that was meant"),
    (b"%!PS", "a PostScript document", "save it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document", "save it as PNG"),
    (b"\x89PNG", "a PNG image", "name the file that was meant"),
    (b"\xff\xd8\xff", "a JPEG image", "name the file that was meant"),
    (b"GIF8", "a GIF image", "name the file that was meant"),
)
# Suffixes of files that rightly begin so: such a file is damaged, and not another one.
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff")
_OWN: Mapping[bytes, tuple[str, ...]] = {
    b"\x1f\x8b": (".gz",),
    b"\x89HDF\r\n": (".mat", ".h5", ".hdf5", ".nc"),
    b"PAR1": (".parquet", ".pq"),
    b"\x93NUMPY": (".npy",),
    b"MATLAB 5.0": (".mat",),
    b"\x89PNG": _IMAGES,
    b"\xff\xd8\xff": _IMAGES,
    b"GIF8": _IMAGES,
}
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<!-- ")
UNKNOWN = "damaged, cut off or of another kind; fetch it again"
_DAMAGED = "damaged or cut off; fetch it again"


def told(path: Path) -> str:
    """What an unreadable file looks like and what to do, as "it is ...; ..." for a message's tail."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"it cannot be opened ({error.strerror}); check its path and permissions"
    if head.startswith(b"PK\x03\x04"):
        return f"it is {_archive(path)}"
    return f"it is {of_bytes(head, path.suffix)}"


def of_bytes(head: bytes, suffix: str = "") -> str:
    """The same of what a file of that suffix begins with, as "...; ..."."""
    if not head:
        return "empty; fetch it again"
    for beginning, kind, advice in _BEGINNINGS:
        if head.startswith(beginning):
            own = suffix.lower() in _OWN.get(beginning, ())
            return _DAMAGED if own else f"{kind}; {advice}"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return "an HTML page, as a login or an error gives; fetch the file itself"
    if text.startswith(b"<?xml"):
        return "an XML page, as an object store's error is; fetch the file itself"
    if not head.strip(b"\0"):
        return "nothing but zeros, as an interrupted copy leaves; fetch it again"
    return UNKNOWN


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return "a zip archive that is damaged or cut off; fetch it again"
    inner = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return "a TorchScript archive, which holds code; save the state dict (module.state_dict())"
    if "data.pkl" in inner:
        own = path.suffix.lower() in (".pth", ".pt", ".ckpt", ".bin")
        return _DAMAGED if own else "a file of torch.save; name the file that was meant"
    if names and all(name.endswith(".npy") for name in names):
        own = path.suffix.lower() == ".npz"
        return _DAMAGED if own else "a NumPy archive (.npz); name the file that was meant"
    return "a zip archive; unpack it"
