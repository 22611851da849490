"""Writes docs/questions.md: every shipped question, its SQL, and its answer on the demo's store.

Run `make demo` first: answers are those of results/demo, or of the store that is named.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from zoo_eval.errors import ZooEvalError
from zoo_eval.queries.connection import Connection, connect
from zoo_eval.queries.questions import notes, questions
from zoo_eval.queries.unfilled import unfilled
from zoo_eval.queries.written import short
from zoo_eval.store import Store
from zoo_eval.tables import View

PAGE = Path(__file__).parent.parent / "docs" / "questions.md"
DEMO = "results/demo"
N_ROWS = 8
WIDEST = 40
# What all rows compared share, and how they were found: too long for a page.
LEFT_OUT = frozenset(
    {
        "parameters", "seed", "recording_digest", "stimuli_digest", "weights_digest", "setting",
        "other_setting", "layer_per_fold",
    }
)  # fmt: skip
HEAD = """# Questions

```sh
zoo-eval questions                                            # what can be asked by name
zoo-eval questions completeness --store results/demo          # one of them, answered
zoo-eval questions evaluation_agreement --store results/demo --where "kind = 'fit'"
zoo-eval questions scaling_in_parameters                      # its SQL, to change and ask with `zoo-eval sql`
```

```python
import zoo_eval

results = zoo_eval.open("results/demo")
results.questions  # names, and what each asks
results.question("layer_profile").df()  # pandas; .pl() polars, .arrow() Arrow
```

Each is one SELECT over the tables and views of [tables.md](tables.md). None mixes versions of an evaluation,
protocols, parameters, seeds or contents of recordings and stimuli, and models whose gate failed count in none
but those about trials. Values that are no numbers are counted beside the answer, and are in nothing else.
There are no intervals here: models come in families, which `zoo-eval trends` takes into account.

The answers below are those of the demo (`make demo`), the first {n_rows} rows of each; columns of digests,
parameters and settings are left out here. Its weights and photos are real; **its recording and its human maps
are planted** (made from a model of the demo, and from local contrast), so they say nothing about brains or
people. Made by `make docs`.
"""


def page(uri: str) -> str:
    """The page's text, with the answers of one store."""
    connection = connect(Store(uri))
    asked = (_section(one, connection) for one in questions().values())
    return HEAD.format(n_rows=N_ROWS) + "".join(asked)


def _section(asked: View, connection: Connection) -> str:
    rows = connection.query(asked.sql)
    columns = [name for name in rows.column_names if name not in LEFT_OUT]
    return (
        f"\n## {asked.name}\n\n**{asked.question}**\n\n{notes(asked)}\n\n"
        f"{_answer(rows.select(columns), unfilled(connection, asked.sql))}\n"
        f"\n```sql\n{asked.sql.strip()}\n```\n"
    )


def _answer(rows: pa.Table, why: str | None) -> str:
    if not rows.num_rows:
        return f"*No rows in the demo{f': {why}' if why else ''}.*"
    cells = ([_cell(value) for value in row.values()] for row in rows.slice(0, N_ROWS).to_pylist())
    lines = [_line(rows.column_names), _line("---" for _ in rows.column_names), *map(_line, cells)]
    return "\n".join([*lines, "", f"{rows.num_rows} rows."])


def _cell(value: object) -> str:
    return short(value, WIDEST).replace("|", "\\|")


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default=DEMO, help="which answers")
    try:
        PAGE.write_text(page(parser.parse_args().store))
    except ZooEvalError as error:
        raise SystemExit(f"questions_page: {error}; `make demo` makes {DEMO}") from error


if __name__ == "__main__":
    main()
