"""docs/record.md and docs/record.svg, written from the record."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmarks import svg
from benchmarks.attacks_page import DOCS, STYLE, table
from benchmarks.optimality.contenders import ENSEMBLE
from benchmarks.optimality.record import BUDGETS, Gap, Row
from benchmarks.optimality.standing import Field, Standing, best_rival
from zoo_eval.files.names import in_html

HEADER = (
    "network", "norm", "attack", "LO", "by trapezoids", "rivals' envelope alone", "over the envelope",
    "worst photo", "failed", "propagations", "CPU s/photo",
)  # fmt: skip
# What this project holds its two attacks to, and the share of the propagations for the second.
AIMS = {"l2": (0.995, 0.985), "linf": (0.995, 0.995)}
# Mean over AttackBench's ImageNet networks (arXiv 2404.19460), of other networks and 5,000 photos.
PUBLISHED = {
    "l2": "DDN, .986", "linf": "APGD_t of adv-lib, .992", "l1": "APGD-l1, .980", "l0_values": "sigma-zero, .998",
}  # fmt: skip
COLOURS = {"ours": 0, "adv-lib": 1, "foolbox": 2}
# Curves that fall below this would press the others together.
LOWEST = 0.9
HEAD = 26
INTRODUCTION = """\
# The record: how near each attack comes to the best

```sh
python -m benchmarks.optimality --quick    # about a minute: two small photos, the strongest rivals shortened
python -m benchmarks.optimality            # goes on where the record stops; the whole matrix takes days
python -m benchmarks.optimality --page     # writes this page from benchmarks/data/optimality.jsonl
```

Every attack may make {budget:,} propagations on a photo, a propagation being one forward or one backward
pass. The network counts them and keeps the shortest misclassified query in each norm, whatever the attack
returns. **LO**, local optimality, is AttackBench's measure (Cina, Rony, Pintor et al., AAAI 2025,
[arXiv 2404.19460](https://arxiv.org/abs/2404.19460)): with d\\* the least distance that *any* attack found on a
photo, m the largest d\\* and rho(0) the accuracy without an attack,

`LO = 1 - (mean min(d, m) - mean d*) / (rho(0) m - mean d*)`

so 1 is the envelope of all attacks, and 0 an attack that finds nothing up to m. A photo that an attack did not
change counts as infinitely far and stays in; beyond m nothing is counted, so that LO forgives whatever an attack
misses on the farthest photo. *By trapezoids* is the same with a curve's points joined by
straight lines, the form that published figures were computed in; on few photos it exceeds 1. *Rivals' envelope
alone* leaves all of ours out of d\\*, and exceeds 1 where ours are nearer than every rival. *Over the envelope* is
the geometric mean of d / d\\*, *worst photo* the largest.

Rivals have AttackBench's settings for ImageNet at 1,000 steps, those of adv-lib and Foolbox. Ours are as a sweep
runs them, with no option chosen for this: the attack, and its candidate shortened along its line, stored in
16 bits and verified, which costs about twenty forward passes of the count. l0 counts values (a pixel has three).
Photos are the ImageNet photos of the package foolbox that the network classifies correctly. Options of our
attacks were chosen on EfficientNet-Lite (lite0, lite1, lite2) and on these photos; SqueezeNet 1.1 was seen by no
choice. Where photos are few, LO says little: read it beside the ratios. Processor time is of one thread.

"""
Compared = Sequence[Field]


def lines(one: Field) -> list[list[str]]:
    """The table's rows of one network and norm."""
    return [
        [
            f"{one.model}, {len(one.photos)} photos", one.norm, each.attack, _number(each.optimality),
            _number(each.trapezoids), _number(each.without_ours), _number(each.mean_ratio, 3),
            _number(each.worst_ratio, 3), str(each.n_failed), f"{each.propagations:.0f}",
            f"{each.cpu_seconds:.1f}",
        ]
        for each in one.standings()
    ]  # fmt: skip


def write(compared: Compared, missing: Sequence[Gap], found: Sequence[Row]) -> None:
    """Both files."""
    (DOCS / "record.svg").write_text(figure(compared) + "\n")
    (DOCS / "record.md").write_text(text(compared, missing, found))


def text(compared: Compared, missing: Sequence[Gap], found: Sequence[Row]) -> str:
    """The page."""
    return "".join(
        (
            INTRODUCTION.format(budget=BUDGETS[-1]),
            f"Measured with {_versions(found)}.\n\n",
            "## Where ours stand\n\n", *(f"- {line}\n" for line in verdicts(compared)),
            "\n![LO against propagations](record.svg)\n\n",
            "The figure: LO after so many propagations, against the envelope of all. Most rivals spread their "
            "steps over the whole budget and are not made to be stopped early.\n",
            *(_section(one) for one in compared),
            "\n## Not run\n\n", *(f"- {line}\n" for line in _missing(missing)),
        )
    )  # fmt: skip


def _section(one: Field) -> str:
    partly = ", ".join(f"{name} ({n} photos)" for name, n in sorted(one.partly.items()))
    return (
        f"\n## {one.norm}, {one.model}, {len(one.photos)} photos\n\n"
        + table(HEADER[2:], [row[2:] for row in lines(one)])
        + (
            f"\nRun on some of these photos, and in the envelope only: {partly}.\n"
            if partly
            else ""
        )
        + f"\nPublished record in this norm, on other networks and photos: {PUBLISHED[one.norm]}.\n"
    )


def verdicts(compared: Compared) -> Iterator[str]:
    """Of each network and norm: our two attacks, the best rival, and which aims are missed."""
    for one in compared:
        standings = one.standings()
        where = f"{one.norm}, {one.model}, {len(one.photos)} photos"
        ours = {each.attack: each for each in standings if each.is_ours}
        rival = best_rival(standings)
        if not ours or rival is None:
            yield f"{where}: {'none of ours' if not ours else 'no rival'} was run"
            continue
        yield f"{where}: {'; '.join(_told(each) for each in (*ours.values(), rival))}. {_judged(one.norm, ours, rival)}"


def _told(one: Standing) -> str:
    return (
        f"`{one.attack}` {_number(one.optimality)} ({_number(one.mean_ratio, 3)} of the envelope, "
        f"{one.propagations:.0f} propagations)"
    )


def _judged(norm: str, ours: Mapping[str, Standing], rival: Standing) -> str:
    """In words, whether our strongest is the best, and whether the aims are met."""
    if math.isnan(rival.optimality):
        return "On so few photos LO says nothing, and nobody is judged."
    best = max(ours.values(), key=lambda one: one.optimality)
    said = [
        f"**Ours lose to `{rival.attack}`.**"
        if rival.optimality > best.optimality
        else "Ours are the nearest."
    ]
    aims = dict(zip((ENSEMBLE, "ours: perpendicular"), AIMS.get(norm, ()), strict=False))
    for name, aim in aims.items():
        if name in ours and not ours[name].optimality >= aim:
            said.append(f"`{name}` misses its aim of {aim:g}.")
        if name in ours and not ours[name].without_ours >= aim:
            said.append(f"`{name}` misses it with the rivals' envelope alone.")
    return " ".join(said)


def _missing(missing: Sequence[Gap]) -> Iterator[str]:
    """One line for each network, norm, number of photos and reason."""
    groups: dict[tuple[str, str, int, str], list[str]] = {}
    for gap in missing:
        key = (gap.model, gap.norm, len(gap.photos), gap.reason)
        groups.setdefault(key, []).append(gap.attack)
    for (model, norm, n_photos, reason), attacks in groups.items():
        yield f"{norm}, {model}, {n_photos} photos, {reason}: {'; '.join(attacks)}."


def _versions(found: Sequence[Row]) -> str:
    """Of the libraries, each set with its number of runs where there are several."""
    sets = Counter(
        ", ".join(f"{name} {one}" for name, one in row.versions.items()) for row in found
    )
    if len(sets) == 1:
        return f"{next(iter(sets))} ({len(found)} runs)"
    return "; ".join(f"{named} ({n} runs)" for named, n in sets.items()) or "nothing yet"


def _number(value: float, digits: int = 4) -> str:
    return "-" if math.isnan(value) else "infinite" if math.isinf(value) else f"{value:.{digits}f}"


def figure(compared: Compared) -> str:
    """LO against propagations, a panel for each network and norm; lines that stay low are left out."""
    panels = []
    for number, one in enumerate(compared):
        x, y = number % 2 * svg.WIDTH, number // 2 * svg.HEIGHT + HEAD
        place = f'x="{x}" y="{y}" width="{svg.WIDTH}" height="{svg.HEIGHT}"'
        panels.append(_panel(one).replace("<svg ", f"<svg {place} ", 1))
    keys = "".join(
        f'<g class="s{colour}"><circle class="mark" cx="{70 + 100 * colour}" cy="16" r="5"/>'
        f'<text x="{82 + 100 * colour}" y="20">{series}</text></g>'
        for series, colour in COLOURS.items()
    )
    width, height = 2 * svg.WIDTH, math.ceil(len(compared) / 2) * svg.HEIGHT + HEAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fcfcfa"/>'
        f"{keys}{''.join(panels)}</svg>"
    )


def _panel(one: Field) -> str:
    shown = [each for each in one.standings() if each.optimality >= LOWEST]
    drawn = [
        svg.Line(
            each.attack,
            tuple(
                (float(budget), max(value, LOWEST), f"{value:.4f} at {budget}")
                for budget, value in zip(BUDGETS, each.by_budget, strict=False)
                if value >= LOWEST
            ),
            each.attack.split(":")[0],
        )
        for each in shown
    ]
    x = svg.axis("propagations", [float(budget) for budget in BUDGETS], log=True)
    y = svg.axis("LO", [LOWEST, 1.0])
    title = f"{one.norm}, {one.model}, {len(one.photos)} photos"
    ends = "".join(_named(line, x, y) for line in drawn if line.points)
    words = f'<text x="{svg.LEFT}" y="{svg.TOP - 8}">{in_html(title)}</text>'
    return svg.profile(title, drawn, x, y, COLOURS).replace("</svg>", f"{words}{ends}</svg>")


def _named(line: svg.Line, x: svg.Axis, y: svg.Axis) -> str:
    """The attack's name at the beginning of its line, where lines are apart."""
    budget, value, _ = line.points[0]
    at_x = svg.LEFT + x.share(budget) * (svg.WIDTH - svg.LEFT - svg.RIGHT)
    at_y = svg.TOP + (1 - y.share(value)) * (svg.HEIGHT - svg.TOP - svg.BOTTOM)
    return f'<text class="name" x="{at_x + 6:.1f}" y="{at_y + 10:.1f}">{in_html(line.name)}</text>'
