"""Units as people write them: sizes in binary units, durations."""

import re

BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def size_in_bytes(text: str) -> int:
    """Bytes of a size such as "4GiB".

    Raises:
        ValueError: it is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(\w+)\s*", text)
    if match is None or match.group(2) not in BYTES:
        raise ValueError(f'{text!r} is no size; expected e.g. "4GiB"')
    return int(float(match.group(1)) * BYTES[match.group(2)])


def size_text(n_bytes: int) -> str:
    """A number of bytes in the largest unit that it fills, e.g. "1.5 GiB"."""
    unit = max(
        (unit for unit in BYTES if BYTES[unit] <= n_bytes), key=BYTES.__getitem__, default="B"
    )
    return f"{n_bytes} B" if unit == "B" else f"{n_bytes / BYTES[unit]:.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds as people say them, e.g. 3m05s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"
