"""The page and the figure of trend statistics: docs/trends.md, docs/trends.svg."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import altair as alt
import vl_convert

DOCS = Path(__file__).parent.parent / "docs"
Row = Mapping[str, float | str]
KINDS = {"by family": "spearman_rho", "naive, over models": "naive spearman_rho"}
HEADING = "% of intervals that hold the true rho"


def write(covered: Sequence[Row], tables: tuple[str, str], found: Mapping[str, float]) -> None:
    """Writes both."""
    (DOCS / "trends.svg").write_text(figure(covered) + "\n")
    (DOCS / "trends.md").write_text(page(tables, found))


def figure(covered: Sequence[Row]) -> str:
    """Coverage of Spearman's intervals against families, a panel for each likeness within families."""
    points = [
        {
            "families": row["n_families"],
            HEADING: 100 * float(row[name]),
            "interval": kind,
            "sizes": row["sizes"],
            "alike": f"models of a family alike by {row['alike']}",
        }
        for row in covered
        for kind, name in KINDS.items()
    ]
    places = {
        "x": alt.X("families:Q", scale=alt.Scale(type="log", domain=[9, 66]), axis=alt.Axis(values=[10, 30, 60])),
        "y": alt.Y(f"{HEADING}:Q", scale=alt.Scale(domain=[0, 100])),
        "color": alt.Color("interval:N", scale=alt.Scale(range=["#0072b2", "#d55e00"])),
        "strokeDash": alt.StrokeDash("sizes:N", legend=None),
        "shape": alt.Shape("sizes:N", legend=alt.Legend(symbolFillColor="#1d2126")),
    }  # fmt: skip
    drawn = alt.Chart().mark_line(point=alt.OverlayMarkDef(size=40)).encode(**places)
    once = alt.InlineData(values=[{}])
    wanted = (
        alt.Chart(once)
        .mark_rect(opacity=0.2, color="#009e73")
        .encode(y=alt.datum(93), y2=alt.datum(98))
    )
    chart = (
        alt.layer(wanted, drawn, data=alt.InlineData(values=points))
        .properties(width=260, height=240)
        .facet(column=alt.Column("alike:N", title=None))
        .properties(background="#fcfcfa")
    )
    svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
    return svg


def page(tables: tuple[str, str], found: Mapping[str, float]) -> str:
    """What each statistic is, and how well its intervals and tests hold."""
    share = {name: f"{100 * value:.1f} %" for name, value in found.items()}
    return f"""# Trends over models

Written by `python -m benchmarks.trends`, which also drew the figure and the tables below.

```sh
zoo-eval trends --store results/demo
zoo-eval sql "SELECT subject, statistic, detail, estimate, low, high, p_adjusted FROM trends" --store results/demo
```

It prints answers first, then statistics, and keeps all of them in the table `trends`; `--compare MODEL MODEL`
sets two models against each other besides, as often as it is given; `--where "year >= 2020"` takes only the
models of which that holds (SQL on the columns of the view `model_facts`), says so in the population of every
statistic, and leaves the table as it is. Of made-up models, for example:

> Does tolerance of photos, ddn l2 (tolerance) rise with accuracy?
> Yes, it rises: Spearman's correlation with top-1 is 0.87 [0.65, 0.95] (p 0.0015, adjusted 0.0045; 40 models
> of 10 families (G\\* 10.0)).

Every row says of whom it is (`population`), who is left out and why
(`exclusions`: `gate failed`, `without accuracy`, `without this value`, `not a number`, `infinite`, `without
year`, ...), how many models, of how many families, and how interval and p were made (`method`).

## Why by family

Models come in families: forty variants of one architecture are not forty independent observations. An
interval over models (here called **naive**; papers usually print it) takes them to be. On simulated zoos
it held the truth between {share["worst_naive_coverage"]} and {share["highest_naive_coverage"]} of the time where it says 95 %; the interval over families held it
between {share["worst_coverage"]} and {share["highest_coverage"]}.

![how often intervals hold the true correlation, by family and naive](trends.svg)

The green band is 93 to 98 %. A family is the catalogue's (`family` in the table `models`), or the
architecture where that is unknown. **G\\*** = 1 / (sum of squared shares): ten families of which one has nearly all
models are worth hardly more than one. Below G\\* = 5 there is no interval, and `no_interval` says so.

## The statistics

| statistic | what it is |
|---|---|
| `spearman_rho`, `pearson_r`, `kendall_tau` | of top-1 and the value. Interval: delete-one-family jackknife (CV3 of MacKinnon, Nielsen and Webb) on Fisher's z, Student's t with G\\* - 1 degrees. `naive_low`, `naive_high`: percentile bootstrap over models. `without_low`, `without_high`: the range without any one family; `moves_most` is the one that matters most. p: permutation of families |
| `partial_spearman_rho`, `partial_pearson_r` | the same of what is left once parameters (log), year, training data (its name), or all three are taken from both sides, by a plane; p by the same t |
| `unseen_rmse`, `unseen_gain` | error of a line, a saturating power law a - b (1 + x)^-c and two lines that meet, each predicting every family from the others; the gain is the line's mean squared error less the curve's |
| `two_lines`, `two_lines_before`, `two_lines_after` | Simonsohn's two-lines test of "rises, then falls" (2018), errors over families: both slopes (`at` the break) must differ from zero, the first upwards, the second downwards. The estimate of `two_lines` is the change from the break to the most accurate model |
| `change_point` | where a line's slope changes most; p: sup-F against a wild cluster bootstrap |
| `front_probability` | of each model: the share of resamples of families with it in which no model is better in both; errors of measurement are not in it |
| `front_reached` | the largest value of models at least as accurate as `at`, with its band (attainment surface) over resamples of families |
| `contrast` | mean difference of pairs that differ in one known fact: training data, objective, input size, parameters within a family, harmonized, graded |
| `ceiled_score` | of the best model: median r / sqrt(median reliability), with the errors of both over targets (delta method, their covariance from one bootstrap); `naive_low` and `naive_high` take the ceiling as known |
| `above_front` | how far harmonized models lie above the best others that are at least as accurate |
| `paired_difference` | of two models (`--compare`): mean over targets, or stimuli, with a t interval and SciPy's permutation test; a sign test where a value is infinite |

Infinite values (models that withstand every attack) rank last; what needs numbers leaves them out, and counts
them.

**What is permuted.** For p of "no relation" each family's values are taken apart into its mean and its
models' deviations. A permutation hands the means to other families and turns all deviations of a family round
together, or none. Models never change places, so that what is alike within a family stays so. It is exact,
up to the estimation of the means, for independent families of one size whose deviations are symmetric; for
unequal sizes it is approximate, as large families' means are less noisy. The statistic is divided by its
error over families for that reason. On simulated zoos without a relation it said p <= 0.05 at most
{share["permutation_false_positives"]} of the time.

## The questions

Asked of every recording, attack and map in the store, before looking at it (`zoo_eval/trends/claims.py`):

1. Does the neural score fall beyond some accuracy? (two-lines test)
2. Does tolerance rise with accuracy? (Spearman)
3. Does alignment fall with accuracy? (Spearman)
4. Do harmonized models leave the trade-off? (models whose card says `harmonized_from`, above the others' front)

p of all that have one are adjusted together (Holm): `p_adjusted`. "Yes" takes an adjusted p of 0.05 or
less, and of a correlation an interval without zero. "Not shown" is not "no". Answers about planted recordings
and maps say that they are planted. Pairs given with `--compare` are a family of questions of their own.

## How well they hold

A thousand zoos for each truth and setting. Values are normal; models of one family are alike by .5 or
.8; there are 300 models in 10, 30 or 60 families, all of one size or of sizes 1, 1/2, 1/3, ... (Zipf). Truths are
correlations of 0 and 0.6 together. Each share of 95 % has a standard error of half a point. `permutation`: false
positives of the permutation test.

{tables[0].rstrip()}

{_wanted(found)} With ten families of Zipf's sizes (G\\* 5.5) intervals are wider
than they need be, as G\\* - 1 degrees are few: they err on the safe side.

The two-lines test on curves that never fall (linear, saturating 1 - e^-5x, log, and a plateau from the middle
on), and on one that rises to .6 and falls as steeply. How often it says "rises and falls" (at p <= 0.05),
and in brackets how often it cannot say, for want of families on one side:

{tables[1].rstrip()}

False positives: at most {share["two_lines_false_positives"]}. It finds a real rise and fall in {share["two_lines_least_power"]} to {share["two_lines_most_power"]}: with ten families of Zipf's sizes
hardly ever, as five families' worth are needed on both sides. The last column: how often the sup-F test says
that a line's slope changes; at most {share["change_point_false_positives"]}.

## What this does not do

- A family is a label. Models of two families trained on the same data are taken as independent.
- Measurement errors of a model's own value are in no interval over models but `ceiled_score` and
  `paired_difference`; stimuli of one photo count as independent in the latter.
- Of a break's place there is no interval: it has no normal limit. `without_low` and `without_high` say how far
  one family moves it.
- Facts that are not known of both models count as the same in a contrast (training data must be known).
"""


def _wanted(found: Mapping[str, float]) -> str:
    """Whether coverage is where it is wanted, in words."""
    worst, highest = found["worst_coverage"], found["highest_coverage"]
    if worst >= 0.93 and highest <= 0.98:
        return "Wanted were 93 to 98 % throughout, and so it is."
    below = "some settings have less than 93 %" if worst < 0.93 else ""
    above = f"some have more than 98 %, up to {100 * highest:.1f} %" if highest > 0.98 else ""
    return f"Wanted were 93 to 98 % throughout; {' and '.join(filter(None, [below, above]))}."
