"""docs/attacks.md: its sweep is valid, and it names every attack, decision, flag and protocol."""

import tomllib
from pathlib import Path
from typing import get_args

from zoo_eval.evaluations.attack_protocols import PROTOCOLS
from zoo_eval.evaluations.minimal_attack import CORRECTED, MinimalAttack
from zoo_eval.numerics.attacks.masking import Flags
from zoo_eval.numerics.attacks.registry import ATTACKS

PAGE = (Path(__file__).parent.parent / "docs" / "attacks.md").read_text()


def test_the_sweep_on_the_page_is_valid():
    text = PAGE.split("```toml\n")[1].split("```")[0]
    first, second = tomllib.loads(text)["evaluations"]
    assert MinimalAttack(**first).attacks == ("ensemble", "foolbox:DDNAttack")
    assert MinimalAttack(**second).published is PROTOCOLS["linsley2023_paper"]


def test_everything_that_has_a_name_is_on_the_page():
    names = [*ATTACKS, CORRECTED, *PROTOCOLS, *Flags.__dataclass_fields__]
    names += get_args(MinimalAttack.model_fields["decision"].annotation)
    for protocol in PROTOCOLS.values():
        names += [protocol.attack_name, protocol.channel_reduction, *protocol.defects]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
