"""Evaluate a zoo of vision models on Ray; query the results with SQL.

A Runner opens each ModelCard of a Catalog as an OpenModel, applies every pending Trial's
Evaluation to a StimulusSet (with a Recording where it needs one), and writes its Table rows to
the Store; queries read the Store.

Importing this package loads neither torch, ray nor duckdb.
"""

__version__ = "0.1.0"
