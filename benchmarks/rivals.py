"""The rivals that need a word before they can be imported."""

import sys
from importlib import import_module
from types import ModuleType


def adv_lib_attacks() -> ModuleType:
    """The module `adv_lib.attacks`.

    It imports visdom for live plots, which nobody asks for here and which builds with no current
    setuptools: an empty module stands in for it.
    """
    sys.modules.setdefault("visdom", ModuleType("visdom"))
    return import_module("adv_lib.attacks")
