"""Factories whose errors quote what is secret, as libraries' errors do."""

import os
from typing import NoReturn

from tests.privacy.canaries import QUERY


def quotes_an_address() -> NoReturn:
    raise RuntimeError(f"cannot fetch 'https://host.example/net.pt?{QUERY}': forbidden")


def quotes_half_an_address() -> NoReturn:
    raise OSError(f"Max retries exceeded with url: /net.pt?{QUERY} (Caused by nothing)")


def quotes_a_header() -> NoReturn:
    raise ValueError(f"Illegal header value b'Bearer {os.environ['HF_TOKEN']}'")


def quotes_a_variable() -> NoReturn:
    raise KeyError(os.environ["AWS_SECRET_ACCESS_KEY"])
