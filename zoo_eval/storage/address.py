"""Addresses of stores: a folder, or s3://, gs:// or az:// with a bucket and a prefix."""

import configparser
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from zoo_eval.errors import BadInput
from zoo_eval.paths import refuse_key
from zoo_eval.privacy.addresses import shown
from zoo_eval.storage.bucket import TIMEOUT_S, Bucket, without_addresses
from zoo_eval.storage.local_folder import LocalFolder
from zoo_eval.storage.objects import Objects

if TYPE_CHECKING:
    from obstore.store import S3Store

ASIDE = "expected a path, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
S3_OPTIONS = ("endpoint_override", "scheme", "region")


def opened(uri: str) -> Objects:
    """The objects at an address; nothing is asked of them yet.

    Raises:
        BadInput: it is no address of a known kind, or holds a key.
    """
    refuse_key(uri)
    if "://" not in uri:
        return LocalFolder(Path(uri).expanduser().resolve())
    try:
        parts = urlsplit(uri)
        if parts.scheme == "file":
            if not parts.path.strip("/"):
                raise ValueError("no bucket or folder is named")
            return LocalFolder(Path(unquote(parts.path)).resolve())
        return Bucket(_remote(parts))
    except (ValueError, ImportError) as error:
        raise BadInput(
            f"store {shown(uri)!r} is no folder or object-store address ({error}); {ASIDE}"
        ) from error
    except Exception as error:
        # The library's own, of what it finds in the environment.
        raise BadInput(
            f"store {shown(uri)!r} cannot be asked ({without_addresses(error)}); set what the cloud's own "
            "tools need"
        ) from error


def _remote(parts: SplitResult):  # type: ignore[no-untyped-def]
    from obstore.store import AzureStore, GCSStore

    bucket, prefix = parts.netloc, unquote(parts.path).strip("/") or None
    if parts.scheme not in ("s3", "gs", "az"):
        raise ValueError(f"{parts.scheme}:// is unknown")
    if not bucket:
        raise ValueError("no bucket or folder is named")
    if parts.scheme == "s3":
        return _s3(parts, bucket, prefix)
    made = {"gs": GCSStore, "az": AzureStore}[parts.scheme]
    return made(
        bucket,
        prefix=prefix,
        client_options={"timeout": f"{TIMEOUT_S}s"},
        retry_config={"max_retries": 0},
    )


def _s3(parts: SplitResult, bucket: str, prefix: str | None) -> "S3Store":
    from obstore.store import S3Store

    options = dict(parse_qsl(parts.query))
    if unknown := sorted(options.keys() - set(S3_OPTIONS)):
        raise ValueError(f"option {unknown[0]!r} is none of {', '.join(S3_OPTIONS)}")
    config = _aws_profile()
    if endpoint := options.get("endpoint_override"):
        scheme = options.get("scheme", "https")
        config["endpoint"] = endpoint if "://" in endpoint else f"{scheme}://{endpoint}"
    if "region" in options:
        config["region"] = options["region"]
    return S3Store(
        bucket,
        prefix=prefix,
        config=config,  # type: ignore[arg-type]  # its keys are those of the library
        # Plain HTTP is spoken only where an address asks for it: a server on one's own machine.
        client_options={"allow_http": True, "timeout": f"{TIMEOUT_S}s"},
        # Tries are counted in one place.
        retry_config={"max_retries": 0},
    )


def _aws_profile() -> dict[str, str]:
    """The keys of the chosen profile in AWS's own files, which the library does not read."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    home = Path.home() / ".aws"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"))
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(
            f"AWS's file of credentials cannot be read: {type(error).__name__}"
        ) from error
    profile = os.environ.get("AWS_PROFILE", "default")
    if not parser.has_section(profile):
        return {}
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "region": "region",
    }
    return {ours: parser[profile][name] for name, ours in names.items() if name in parser[profile]}
