"""Planted secrets, and where they are looked for."""

from pathlib import Path

from zoo_eval.queries.connection import connect
from zoo_eval.store import Store

WORD = "CANARY"
KEY_ID, SECRET, SIGNATURE = f"AKIA{WORD}0", f"{WORD}/of+key", f"{WORD}5ignature"
TOKEN = f"hf_{WORD}0123456789"
QUERY = f"X-Amz-Credential={WORD}credential&X-Amz-Signature={SIGNATURE}&sig={WORD}sas"

# Addresses that hold one, each in its own way.
KEYED = [
    f"s3://{KEY_ID}:{SECRET}@bucket/prefix",
    f"s3://{KEY_ID}:{WORD}%2Fof%2Bkey@bucket/prefix",
    f"s3://{WORD}@bucket/prefix",
    f"s3://{KEY_ID}:{SECRET}/bucket/prefix",
    f"s3://bucket/prefix?access_key={KEY_ID}&secret_key={SECRET}",
    f"s3://bucket/prefix?region=x&session_token={WORD}",
    f"s3://bucket/prefix?{QUERY}",
    f"s3://bucket/prefix?AWSAccessKeyId={WORD}&Signature={WORD}",
    f"s3://bucket/prefix?endpoint_override=http://{KEY_ID}:{WORD}@host",
    f"S3://{KEY_ID}:{SECRET}@bucket/prefix",
    f"gs://{WORD}:{WORD}@bucket/prefix",
    f"abfss://:{WORD}@account/container",
    f"az://container/prefix?sig={WORD}",
    f"s3:/{KEY_ID}:{SECRET}@bucket/prefix",
    f"s3://{KEY_ID}:{WORD} with a 'quote@bucket/prefix",
]


def rows(store: Store) -> str:
    """Every row of every table and view, as text."""
    connection = connect(store)
    tables = [store.read(name).to_pylist() for name in store.tables()]
    return repr(tables + [connection.rows(f'SELECT * FROM "{name}"') for name in connection.names])


def in_files(folder: Path) -> list[str]:
    """The files below a folder that hold a planted secret, or are called by it."""
    word = WORD.encode()
    found = [
        str(file)
        for file in folder.rglob("*")
        if WORD in str(file.relative_to(folder)) or (file.is_file() and word in file.read_bytes())
    ]
    return sorted(found)
