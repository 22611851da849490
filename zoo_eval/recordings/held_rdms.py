"""What is held as RDMs, one for each subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo_eval.privacy import files
from zoo_eval.recordings.held import Held, Inspection, Written, histogram
from zoo_eval.recordings.rdm_kinds.content import STIMULUS_IDS, SUBJECT_IDS

FILE = "rdms.npz"


@dataclass(frozen=True, eq=False)
class HeldRdms(Held):
    """Dissimilarities (subject, stimulus, stimulus); `stimulus_ids` are None where nothing names rows."""

    rdms: npt.NDArray[np.float64]
    subject_ids: Sequence[str]
    stimulus_ids: Sequence[str] | None
    about: str = ""

    def inspection(self) -> Inspection:
        n_subjects, n_stimuli, _ = self.rdms.shape
        counts = {"subjects": n_subjects, "stimuli": n_stimuli, "targets": 0}
        pairs = self.rdms[:, *np.triu_indices(n_stimuli, 1)]
        named = self.stimulus_ids
        facts = {
            "subject ids": ", ".join(self.subject_ids[:8]) + (", ..." if n_subjects > 8 else ""),
            "stimulus ids": "none: rows meet the images by their order"
            if named is None
            else f"{named[0]} to {named[-1]}",
            "dissimilarities": f"{pairs.min():.4g} to {pairs.max():.4g}",
        }
        charts = [histogram("pairs of stimuli by dissimilarity", pairs)]
        reliability = _reliability(pairs)
        if reliability is None:
            facts["reliability"] = "of one subject: none"
        else:
            facts["reliability"] = (
                f"mean r {np.nanmean(reliability):.3f} of a subject's RDM with the mean of the others'"
                if not np.isnan(reliability).all()
                else "undefined: a subject's RDM is constant"
            )
            charts.append(histogram("subjects by r with the mean of the others", reliability))
        return Inspection(counts, facts, charts, (self.about,) if self.about else ())

    def write(self, folder: Path, most_bytes: int) -> Written:
        arrays: dict[str, Any] = {"rdm": self.rdms, SUBJECT_IDS: np.array(self.subject_ids)}
        if self.stimulus_ids is not None:
            arrays[STIMULUS_IDS] = np.array(self.stimulus_ids)
        with files.opened(folder / FILE, "wb") as file:
            np.savez(file, **arrays)
        return Written("rdm", FILE)


def _reliability(pairs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Pearson r of each subject's dissimilarities (subject, pair) with the mean of the others'."""
    if len(pairs) < 2:
        return None
    others = pairs.sum(0) - pairs
    sides = [one - one.mean(1, keepdims=True) for one in (pairs, others)]
    norms = np.sqrt(np.prod([(one**2).sum(1) for one in sides], axis=0))
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.float64] = (sides[0] * sides[1]).sum(1) / norms
    return found
