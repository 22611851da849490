"""A page of every stored attack on some models: photo, perturbation, adversarial image, human map.

python -m jobs.gallery STORE OUT.html [MODEL_PATTERN]
"""

import sys
from pathlib import Path

from zoo_eval.errors import ZooEvalError
from zoo_eval.files.names import printable, say
from zoo_eval.privacy import files
from zoo_eval.queries.connection import connect
from zoo_eval.report.html import gallery_page
from zoo_eval.store import Store


def main(store: str, out: str, models: str = "*") -> int:
    """Writes the page; 0, or 2 where there is nothing to show."""
    try:
        page = gallery_page(connect(Store(store)), models)
    except ZooEvalError as error:
        print(printable(f"gallery: {error}"), file=sys.stderr)
        return 2
    with files.opened(Path(out), "w", encoding="utf-8") as file:
        file.write(page)
    say(f"wrote {out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
