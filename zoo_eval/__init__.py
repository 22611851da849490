"""Evaluate a zoo of vision models on Ray; query the results with SQL.

A Runner opens each ModelCard of a Catalog as an OpenModel, applies every pending Trial's
Evaluation to a StimulusSet (with a Recording where it needs one), and writes its Table rows to
the Store; queries read the Store.

From Python: `zoo_eval.run(...)` runs a sweep file or own objects, `zoo_eval.open(store)` gives what
there is in a store. Importing this package loads nothing else: each name is imported when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo_eval.errors import BadInput as BadInput
    from zoo_eval.errors import Refusal as Refusal
    from zoo_eval.errors import StoreError as StoreError
    from zoo_eval.evaluations.accuracy import Accuracy as Accuracy
    from zoo_eval.evaluations.features import Features as Features
    from zoo_eval.evaluations.human_alignment import HumanAlignment as HumanAlignment
    from zoo_eval.evaluations.minimal_attack import MinimalAttack as MinimalAttack
    from zoo_eval.evaluations.neural_fit import NeuralFit as NeuralFit
    from zoo_eval.notebook.images import images as images
    from zoo_eval.notebook.live import model as model
    from zoo_eval.notebook.open import open as open
    from zoo_eval.notebook.responses import responses as responses
    from zoo_eval.notebook.results import Results as Results
    from zoo_eval.notebook.results import Rows as Rows
    from zoo_eval.notebook.run import NotDone as NotDone
    from zoo_eval.notebook.run import run as run
    from zoo_eval.transforms import Transform as Transform

__version__ = "0.1.0"

# Where each name is defined.
_PLACES = {
    "Accuracy": "zoo_eval.evaluations.accuracy",
    "BadInput": "zoo_eval.errors",
    "Features": "zoo_eval.evaluations.features",
    "HumanAlignment": "zoo_eval.evaluations.human_alignment",
    "MinimalAttack": "zoo_eval.evaluations.minimal_attack",
    "NeuralFit": "zoo_eval.evaluations.neural_fit",
    "NotDone": "zoo_eval.notebook.run",
    "Refusal": "zoo_eval.errors",
    "Results": "zoo_eval.notebook.results",
    "Rows": "zoo_eval.notebook.results",
    "StoreError": "zoo_eval.errors",
    "Transform": "zoo_eval.transforms",
    "images": "zoo_eval.notebook.images",
    "model": "zoo_eval.notebook.live",
    "open": "zoo_eval.notebook.open",
    "responses": "zoo_eval.notebook.responses",
    "run": "zoo_eval.notebook.run",
}

__all__ = [*_PLACES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'zoo_eval' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
