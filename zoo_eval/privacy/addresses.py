"""Addresses as they may be shown: without keys, passwords, signatures and tokens."""

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

# With one slash as well: a path made of an address has lost the other.
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+")
IN_TEXT = re.compile(rf"{SCHEME.pattern}[^\s\"'<>`]+")
AT_THE_END = ".,;:)]}>"
# What may stand behind the question mark for all to see. Everything else may be a secret.
HARMLESS = frozenset(
    ("region", "endpoint_override", "scheme", "revision", "download", "allow_bucket_creation")
)
HARMLESS_VALUE = re.compile(r"[\w.:/-]{1,100}")
SECRET_NAME = re.compile(r"key|secret|token|sig|passw|credential|auth|x-amz|x-goog", re.IGNORECASE)
# Here a container's name stands before the @.
CONTAINERS = ("abfs", "abfss", "wasb", "wasbs")
# Here a port is no part of an address, so a colon is of a key.
OBJECT_STORES = (*CONTAINERS, "s3", "s3a", "gs", "gcs", "az", "azure")
PORT_OR_NONE = re.compile(r"[^:]*(:\d*)?|\[[^\]]*\](:\d*)?")
# Where a library quotes only the second half of an address.
QUERY = re.compile(r"(?<=\S)\?([\w.%~+-]+=[^\s\"'<>`]*)")
TOKEN = re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{8,}|(?i:(?<=\bbearer )[\w.~+/=-]{8,})")
HIDDEN = "..."
# Values of these are secrets wherever they turn up.
VARIABLES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_CLIENT_SECRET",
    "RAY_AUTH_TOKEN",
)
# Shorter ones are no secrets, and would be found in words.
LEAST_SECRET_CHARACTERS = 8


def shown(address: str) -> str:
    """An address without user, password, fragment, and query but for a few harmless names.

    A path, or a text that is no address, is returned as it is. So is an address with nothing to hide.
    """
    found = SCHEME.match(address)
    if found is None:
        return address
    scheme, place, query = _parts(address, found.end())
    kept = "&".join(f"{name}={value}" for name, value in query if _is_harmless(name, value))
    return scheme + place[len(_user(scheme, place)) :] + (f"?{kept}" if kept else "")


def without_query(address: str) -> str:
    """An address up to its question mark or hash: what stays the same when it is signed anew."""
    return re.split(r"[?#]", address, maxsplit=1)[0]


def key_in(address: str) -> str | None:
    """Which part of an address holds a key or password, in words; None where none does."""
    found = SCHEME.match(address)
    if found is None:
        return None
    scheme, place, query = _parts(address, found.end())
    if _user(scheme, place):
        return "a user name, key or password before the @"
    for name, value in query:
        if SECRET_NAME.search(name):
            return f"a value of {name!r}" if HARMLESS_VALUE.fullmatch(name) else "a key"
        if "@" in unquote(value):
            return "a password within it"
    return None


def in_text(text: str) -> str:
    """A text in which every address is as it may be shown, and no token stands.

    Values of the environment's secrets (`VARIABLES`) are hidden too.
    """
    if ":/" in text:
        text = IN_TEXT.sub(_shown_match, text)
    if "?" in text:
        text = QUERY.sub(_query_match, text)
    text = TOKEN.sub(HIDDEN, text)
    for secret in _secrets():
        text = text.replace(secret, HIDDEN)
    return text


def _shown_match(match: "re.Match[str]") -> str:
    whole = match.group()
    address = whole.rstrip(AT_THE_END)
    return shown(address) + whole[len(address) :]


def _query_match(match: "re.Match[str]") -> str:
    whole = match.group(1)
    query = whole.rstrip(AT_THE_END)
    if not any(SECRET_NAME.search(name) for name, _ in _query(query)):
        # A file may be called so.
        return match.group()
    kept = "&".join(f"{n}={v}" for n, v in _query(query) if _is_harmless(n, v))
    return (f"?{kept}" if kept else "") + whole[len(query) :]


def _parts(address: str, start: int) -> tuple[str, str, list[tuple[str, str]]]:
    """Scheme with its slashes, what is between them and the query, and the query."""
    place, _, query = address[start:].partition("#")[0].partition("?")
    return address[:start], place, list(_query(query))


def _query(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split("[&;]", text):
        name, _, value = part.partition("=")
        if name:
            yield name, value


def _user(scheme: str, place: str) -> str:
    """What stands before the host: a user, a key, with its @.

    Keys have slashes, which should be written %2F and are not; so where a colon is followed by what
    is no port, all up to the last @ is taken for it.
    """
    kind = scheme.partition(":")[0].lower()
    authority = place.partition("/")[0]
    user, at, _ = authority.rpartition("@")
    if at and ":" not in user:
        return "" if kind in CONTAINERS else f"{user}@"
    in_store = kind in OBJECT_STORES and ":" in authority
    if at or in_store or not PORT_OR_NONE.fullmatch(authority):
        before, at, _ = place.rpartition("@")
        return f"{before}@" if at else authority if in_store else ""
    return ""


def _is_harmless(name: str, value: str) -> bool:
    return name in HARMLESS and HARMLESS_VALUE.fullmatch(unquote(value)) is not None


def _secrets() -> Iterator[str]:
    for name in VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= LEAST_SECRET_CHARACTERS:
            yield value
