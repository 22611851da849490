"""A statistic in words: the interval over families first, the naive one beside it."""

import json
from typing import Any

Row = dict[str, Any]


def describe(row: Row) -> str:
    """One statistic in words.

    For example "spearman_rho 0.91 [0.60, 0.98] by family (naive: [0.75, 0.98]), p 0.004, 13 models of 9
    families (G* 7.2)".
    """
    name = " ".join(filter(None, [row["statistic"], _detail(row)]))
    if row["estimate"] is None and row.get("p_value") is None:
        why = f" ({row['no_interval']})" if row.get("no_interval") else ""
        return f"{name} undefined with {_models(row)}{why}"
    estimate = "" if row["estimate"] is None else f" {number(row['estimate'])}"
    said = [f"{name}{estimate}{_interval(row)}"]
    if row.get("p_value") is not None:
        said.append(f"p {p_in_words(row['p_value'])}")
    return ", ".join([*said, who(row)])


def who(row: Row) -> str:
    """How many models of how many families, e.g. "13 models of 9 families (G* 7.2)"."""
    families = ""
    if row.get("n_families") is not None:
        n, effective = row["n_families"], row["effective_families"]
        families = f" of {n} {'family' if n == 1 else 'families'} (G* {effective:.1f})"
    infinite = f", {row['n_infinite']} of them infinite" if row["n_infinite"] else ""
    return f"{_pairs(row)}{_models(row)}{families}{infinite}"


def left_out(row: Row) -> str:
    """Who is not among the models, and why, e.g. "2 gate failed, 1 infinite"; empty where nobody."""
    reasons = json.loads(row.get("exclusions") or "{}")
    return ", ".join(f"{n} {why}" for why, n in sorted(reasons.items()))


def _models(row: Row) -> str:
    return "1 model" if row["n_models"] == 1 else f"{row['n_models']} models"


def _pairs(row: Row) -> str:
    n, unit = row.get("n_pairs"), row.get("unit") or "pair"
    return "" if n is None else f"{n} {unit if n == 1 else plural(unit)}, "


def _interval(row: Row) -> str:
    naive = ""
    if row.get("naive_low") is not None:
        naive = f"naive: [{number(row['naive_low'])}, {number(row['naive_high'])}]"
    if row["low"] is None:
        reasons = [one for one in (row.get("no_interval"), naive) if one]
        return f", no interval ({'; '.join(reasons)})" if reasons else ""
    # Rows of old stores, and of two models, have none over families.
    family = " by family" if row.get("n_families") is not None else ""
    beside = f" ({naive})" if naive else ""
    return f" [{number(row['low'])}, {number(row['high'])}]{family}{beside}"


def _detail(row: Row) -> str:
    at = f"at top-1 {row['at']:.3f}" if row.get("at") is not None else ""
    return ", ".join(filter(None, [row.get("detail"), at]))


def number(value: float) -> str:
    """Two decimals, or two digits of what is smaller."""
    return f"{value:.2f}" if abs(value) >= 0.095 or value == 0 else f"{value:.2g}"


def plural(unit: str) -> str:
    """More than one target, stimulus, pair or model."""
    return "stimuli" if unit == "stimulus" else f"{unit}s"


def p_in_words(p: float) -> str:
    """A probability, e.g. "0.03", "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.995 else "1"
