"""Likelihood of the fitted transition model, against optima found by scipy."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from skdiva.loo import fit_noise_model
from skdiva.loo.noise._transition import Labeled, fit_transition_matrix
from tests.loo.noise.simulated_noise import even, pairs, simulated

GRID_STEP = 400 ** (1 / 23)  # of sharpness


def log_likelihood(outputs, labels, sharpness, offset, transition):
    p = softmax(sharpness * (np.asarray(outputs) - offset), axis=1)
    return np.log((p @ transition)[np.arange(len(labels)), labels]).sum()


@pytest.mark.parametrize("shift", [0.0, 0.15])
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.25])
def test_the_likelihood_is_close_to_its_largest(rate, k, shift):
    """scipy optimizes sharpness, shift and noise rate at once; ours searches a grid."""
    outputs, labels, _ = simulated(even(rate, k), n=800, shift=shift)
    log_shares = np.log(np.bincount(labels, minlength=k) / 800)

    def loss(parameters):
        sharpness, shift, rate = np.exp(parameters[0]), *parameters[1:]
        return -log_likelihood(outputs, labels, sharpness, shift * log_shares, even(rate, k))

    bounds = [(np.log(0.5), np.log(200)), (0, 0.3), (1e-9, 0.55)]
    starts = [[np.log(s), a, r] for s in (3, 30) for a in (0, 0.2) for r in (0.02, 0.3)]
    largest = -min(minimize(loss, start, bounds=bounds).fun for start in starts)
    model = fit_noise_model(outputs, labels)
    reached = log_likelihood(
        outputs, labels, model.sharpness, model.offset.numpy(), model.transition.numpy()
    )
    # A shift has to gain 2; steps of the grid cost less than the rest.
    assert reached > largest - 2.5
    unshifted = [
        minimize(lambda p: loss([p[0], 0, p[1]]), [s, 0.1], bounds=bounds[::2]) for s in (1, 3)
    ]
    gain = largest + min(found.fun for found in unshifted)
    if not 1 < gain < 4:
        assert bool(model.offset.any()) == (gain > 2)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
def test_the_rate_is_the_likeliest_at_its_sharpness(rate):
    outputs, labels, _ = simulated(even(rate, 3), n=500)
    model = fit_noise_model(outputs, labels)

    def loss(rate):
        offset = model.offset.numpy()
        return -log_likelihood(outputs, labels, model.sharpness, offset, even(rate, 3))

    best = minimize_scalar(loss, bounds=(0, 0.55), options={"xatol": 1e-9}).x
    assert_allclose(1 - model.transition.diagonal(), best, rtol=1e-4)


def test_ambiguity_is_twice_the_likeliest_sharpness_without_noise():
    outputs, labels, _ = simulated(even(0.2, 3), n=1000)
    model = fit_noise_model(outputs, labels)

    def loss(sharpness):
        own = log_softmax(sharpness * outputs.numpy(), axis=1)[np.arange(1000), labels]
        return -own.sum()

    best = minimize_scalar(loss, bounds=(0.5, 200), method="bounded").x
    assert best / GRID_STEP**0.6 < model.ambiguity_sharpness / 2 < best * GRID_STEP**0.6


def test_free_rows_reach_the_maximum_of_the_penalized_likelihood():
    outputs, labels, _ = simulated(pairs(0.3, 3), n=400)
    prior, strength = even(0.1, 3), 400 / 3
    p = softmax(5 * outputs.numpy(), axis=1)  # soft, so that many iterations are needed
    ones = torch.ones(400, dtype=torch.float64)
    labeled = Labeled(outputs, labels, ones, torch.zeros(3))
    objective, transition, share = fit_transition_matrix(
        torch.from_numpy(p), labeled, torch.from_numpy(prior), strength
    )

    def loss(logits):
        free = softmax(logits.reshape(3, 3), axis=1)
        gained = np.log((p @ free)[np.arange(400), labels]).sum()
        return -gained - strength * (prior * np.log(free / prior)).sum()

    best = minimize(loss, np.log(prior).ravel())
    assert_allclose(objective, -best.fun, atol=1e-3)
    assert_allclose(transition, softmax(best.x.reshape(3, 3), axis=1), atol=5e-3)
    own = p[np.arange(400), labels] * transition.diagonal()[labels].numpy()
    wrong = 1 - own / (p @ transition.numpy())[np.arange(400), labels]
    assert_allclose(share, wrong.mean())
