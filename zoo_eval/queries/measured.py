"""Measured: what earlier trials of a store took, by model and device."""

from zoo_eval.queries.connection import Connection


def image_rates(connection: Connection) -> dict[str, float]:
    """Measured image passes per second by model."""
    return {
        row["model"]: row["rate"]
        for row in connection.rows(
            "SELECT model, sum(images_per_s * seconds) / sum(seconds) AS rate FROM trials "
            "WHERE images_per_s IS NOT NULL AND status = 'ok' GROUP BY model"
        )
    }


def flop_rate(connection: Connection) -> float | None:
    """Measured FLOPs per second: the median of all models whose FLOPs are known."""
    found = connection.rows(
        "WITH rates AS (SELECT any_value(flops) * sum(images_per_s * seconds) / sum(seconds) "
        "AS rate FROM trials JOIN models USING (model, weights_digest) "
        "WHERE images_per_s IS NOT NULL AND status = 'ok' GROUP BY model) "
        "SELECT median(rate) AS rate FROM rates"
    )
    return found[0]["rate"] if found else None


def devices(connection: Connection) -> list[str]:
    """What those were measured on."""
    found = connection.rows(
        "SELECT DISTINCT device FROM trials "
        "WHERE images_per_s IS NOT NULL AND status = 'ok' ORDER BY device"
    )
    return [row["device"] for row in found]


def gpu_peaks(connection: Connection) -> dict[str, int]:
    """The largest GPU memory that a trial of each model took, in bytes."""
    return {
        row["model"]: row["peak"]
        for row in connection.rows(
            "SELECT model, max(peak_gpu_bytes) AS peak FROM trials "
            "WHERE peak_gpu_bytes IS NOT NULL AND status = 'ok' GROUP BY model"
        )
    }


def batch_sizes(connection: Connection) -> dict[str, dict[str, int]]:
    """Images per batch that the last trial of each model came to, by device."""
    sizes: dict[str, dict[str, int]] = {}
    for row in connection.rows(
        "SELECT model, device, arg_max(batch_size, started_at) AS size FROM trials "
        "WHERE batch_size IS NOT NULL AND status = 'ok' GROUP BY model, device"
    ):
        sizes.setdefault(row["model"], {})[row["device"]] = row["size"]
    return sizes
