"""Base of the recording formats whose files hold presentations x targets: a format says what a file holds."""

from typing import Literal

from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.recording import Recording, RecordingSection
from zoo_eval.stimuli.stimulus_set import Sweepmates


class PresentedSection(RecordingSection):
    """Responses to presentations; `targets` selects by SQL on the columns that are known of targets.

    `zscore = "session"` makes each target's mean 0 and its standard deviation 1 within each session.
    """

    targets: str | None = None
    zscore: Literal["session"] | None = None

    def presentations(self, where: str, most_bytes: int) -> Presentations:
        """What the files hold; only what is small is read now, and responses when they are asked for.

        Args:
            where: the recording, for messages, to be followed by the file.
            most_bytes: what may be held at once.

        Raises:
            BadInput: a file is damaged, or not of this format, or holds not what is selected.
        """
        raise NotImplementedError

    def read(self, name: str, known: Sweepmates) -> Recording:
        raise NotImplementedError
