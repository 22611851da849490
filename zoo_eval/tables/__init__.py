"""Every table, declared once: column, Arrow type, unit, meaning.

The writer, the checker, the DuckDB views and docs/tables.md come from these declarations.
"""

from collections.abc import Iterable

from zoo_eval.tables.attacks import ALIGNMENT, ATTACKS, PERTURBATIONS
from zoo_eval.tables.ledger import ACCURACY, MODELS, TRIALS
from zoo_eval.tables.neural import (
    CEILINGS,
    FEATURES,
    LAYERS,
    NEURAL_SCORES,
    SPATIAL_MAPS,
    SPATIAL_SCORES,
    TARGETS,
)
from zoo_eval.tables.over_models import TRAINING_METRICS, TRAINING_RUNS, TRENDS
from zoo_eval.tables.summaries import SUMMARIES
from zoo_eval.tables.table import (
    BYTES,
    COUNT,
    FLAG,
    MODEL,
    NAMES,
    REAL,
    REALS,
    SCHEMA_VERSION,
    TEXT,
    TIME,
    TRIAL,
    Column,
    Table,
    View,
    trial_table,
)

_ALL = (
    MODELS, TRIALS, ACCURACY, LAYERS, FEATURES, NEURAL_SCORES, CEILINGS, TARGETS, SPATIAL_SCORES,
    SPATIAL_MAPS, ATTACKS,
    PERTURBATIONS, ALIGNMENT, TRENDS, TRAINING_RUNS, TRAINING_METRICS,
    SUMMARIES,
)  # fmt: skip
TABLES: dict[str, Table] = {table.name: table for table in _ALL}

# In the order in which they build on each other; their SQL is in zoo_eval/queries/views.
VIEWS = (
    "gates",
    "current_trials",
    "cards",
    "current_ceilings",
    "current_targets",
    "model_facts",
    "failures",
    "neural_modes",
    "neural_folds",
    "neural_means",
    "neural_targets",
    "neural_regions",
    "region_folds",
    "both_directions",
    "similarities",
    "best_layer",
    "best_layer_on_test",
    "neural_leaderboard",
    "spatial_leaderboard",
    "model_accuracy",
    "tolerances",
    "robust_curves",
    "alignments",
    "protocols",
    "paired_values",
    "harmonized_pairs",
    "accuracy_vs_neural",
    "accuracy_vs_spatial",
    "accuracy_vs_tolerance",
    "accuracy_vs_alignment",
    "tolerance_and_alignment",
    "leaderboard",
)


# What users and other packages need to declare tables of their own.
__all__ = [
    "BYTES",
    "COMMIT",
    "COUNT",
    "FLAG",
    "MODEL",
    "NAMES",
    "REAL",
    "REALS",
    "SCHEMA_VERSION",
    "SUMMARIES",
    "TABLES",
    "TEXT",
    "TIME",
    "TRENDS",
    "TRIAL",
    "TRIALS",
    "VIEWS",
    "Column",
    "Table",
    "View",
    "documentation",
    "trial_table",
]  # fmt: skip


def documentation(tables: Iterable[Table] = TABLES.values()) -> str:
    """The Markdown of docs/tables.md."""
    parts = [
        "# Tables\n\nParquet under `<store>/<table>/`; the same names are DuckDB views. "
        "Made from `zoo_eval/tables` by `make docs`.\n"
    ]
    for table in tables:
        by = f" Filled by {' or '.join(table.filled_by)}." if table.filled_by else ""
        parts.append(f"\n## {table.name}\n\nOne row per {table.grain}.{by}\n")
        parts.append("\n| column | type | unit | meaning |\n|---|---|---|---|\n")
        for c in table.columns:
            null = " (may be null)" if c.nullable else ""
            parts.append(f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning}{null} |\n")
    return "".join(parts)
