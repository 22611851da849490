"""Maps are drawn from their least value to their largest, position by position."""

import numpy as np
from numpy.testing import assert_array_equal

from zoo_eval.report.spatial_maps import POSITION_PX, map_pixels


def test_each_position_is_a_square_of_its_value():
    values = np.array([[1.0, 3.0, 5.0], [2.0, 1.0, 5.0]])
    drawn = map_pixels(values)
    assert drawn.shape == (2 * POSITION_PX, 3 * POSITION_PX, 3)
    expected = np.array([[0, 128, 255], [64, 0, 255]])
    for row in range(2):
        for column in range(3):
            square = drawn[row * POSITION_PX :, column * POSITION_PX :][:POSITION_PX, :POSITION_PX]
            assert_array_equal(square, expected[row, column])


def test_one_value_alone_is_mid_grey():
    assert_array_equal(map_pixels(np.ones((2, 2))), 128)
