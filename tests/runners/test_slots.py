"""What a machine can never have is refused before anything is started."""

import pytest

from zoo_eval.errors import BadInput
from zoo_eval.runners.slots import Capacity, Slots, SlotShape


@pytest.mark.parametrize("shape", [SlotShape(1, 1), SlotShape(0.5, 2), SlotShape(2, 8)])
def test_a_slot_that_fits_is_let_through(shape):
    Slots(shape).check_fits(Capacity(2, 8))


@pytest.mark.parametrize("shape", [SlotShape(3, 1), SlotShape(1, 9)])
def test_one_that_never_will_is_refused_with_both_figures(shape):
    said = rf"{shape.num_gpus:g} GPUs and {shape.num_cpus:g} CPUs, this machine has 2 and 8; change"
    with pytest.raises(BadInput, match=said):
        Slots(shape).check_fits(Capacity(2, 8))
