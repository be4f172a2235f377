"""splitmix64 gives the numbers of its authors' code, in whole columns and one by one."""

from __future__ import annotations

import numpy as np

from manifests.kernels.splitmix64 import finalise, next_word, splitmix64

# The first outputs of the authors' splitmix64.c with seed 0.
FROM_ZERO = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]


def test_draws_are_those_of_the_published_generator() -> None:
    state, drawn = 0, []
    for _ in FROM_ZERO:
        state, word = next_word(state)
        drawn.append(word)
    assert drawn == FROM_ZERO


def test_columns_and_single_numbers_agree() -> None:
    states = np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64)
    assert splitmix64(states).tolist() == [next_word(state)[1] for state in states.tolist()]


def test_the_finaliser_is_the_generator_without_its_step() -> None:
    assert finalise(np.array([0x9E3779B97F4A7C15], np.uint64)).tolist() == FROM_ZERO[:1]
