"""The judge is the dense answer: all states and observations as one Gaussian per component, conditioned."""

import numpy as np
import pytest
import torch
from filterpy.kalman import KalmanFilter

from world_models.kalman.lgssm.filter import (
    LGSSM,
    emit,
    kalman_filter,
    log_likelihood,
    newtonian,
    predict,
    rts_smoother,
    simulate,
)
from world_models.kalman.lgssm.mixture import GaussianMixture, draw

X, V, K, T = 4, 2, 3, 6
DOUBLE = torch.float64


def covariances(rng, *shape):
    factor = torch.randn(*shape, shape[-1], dtype=DOUBLE, generator=rng)
    return factor @ factor.mT + 0.2 * torch.eye(shape[-1], dtype=DOUBLE)


def random_model(rng, components=K):
    def normal(*shape):
        return torch.randn(*shape, dtype=DOUBLE, generator=rng)

    return LGSSM(
        transition=0.5 * normal(X, X),
        force=normal(X),
        process_noise=covariances(rng, X),
        emission=normal(V, X),
        observation_noise=covariances(rng, V),
        start_logits=normal(components),
        start_means=2.0 * normal(components, X),
        start_covariances=covariances(rng, components, X),
    )


def cannonball(dtype, components=1, process_noise=0.0):
    """The paper's dynamics: no process noise, gravity, positions seen with variance 0.001."""
    period = 0.015
    transition, emission = newtonian(torch.tensor(period, dtype=dtype), 2)
    return LGSSM(
        transition=transition,
        force=-9.81 * torch.tensor([0.0, 0.5 * period**2, 0.0, period], dtype=dtype),
        process_noise=process_noise * torch.eye(4, dtype=dtype),
        emission=emission,
        observation_noise=0.001 * torch.eye(2, dtype=dtype),
        start_logits=torch.zeros(components, dtype=dtype),
        start_means=torch.linspace(-1.0, 1.0, components, dtype=dtype)[:, None] * torch.ones(4, dtype=dtype),
        start_covariances=torch.eye(4, dtype=dtype).expand(components, 4, 4),
    )


class Dense:
    """Joint Gaussian of h_1..h_T, v_1..v_T for each component, by one linear map of all noises."""

    def __init__(self, model, steps):
        a, c = model.transition.numpy(), model.emission.numpy()
        states, size = [np.eye(X, steps * X)], steps * X
        for step in range(1, steps):
            states.append(a @ states[-1] + np.eye(X, size, step * X))
        to_states = np.concatenate(states)
        to_values = np.kron(np.eye(steps), c)
        noise_means = np.tile(model.force.numpy(), (K, steps))
        noise_means[:, :X] = model.start_means.numpy()
        self.mean = (to_states @ noise_means.T).T
        self.covariance = []
        for start in model.start_covariances.numpy():
            noise = np.kron(np.eye(steps), model.process_noise.numpy())
            noise[:X, :X] = start
            self.covariance.append(to_states @ noise @ to_states.T)
        self.to_values = to_values
        self.noise = np.kron(np.eye(steps), model.observation_noise.numpy())
        self.log_weights = model.start_logits.log_softmax(0).numpy()

    def given(self, values, seen):
        """Log-likelihood of what is seen of ``values [T V]``, weights, and moments of all states."""
        rows = np.repeat(seen, V)
        look, data = self.to_values[rows], values.reshape(-1)[rows]
        joint, means, spreads = [], [], []
        for k in range(K):
            cross = self.covariance[k] @ look.T
            spread = look @ cross + self.noise[np.ix_(rows, rows)]
            residual = data - look @ self.mean[k]
            solved = np.linalg.solve(spread, np.column_stack([residual, cross.T]))
            means.append(self.mean[k] + cross @ solved[:, 0])
            spreads.append(self.covariance[k] - cross @ solved[:, 1:])
            size = residual @ solved[:, 0] + np.linalg.slogdet(2.0 * np.pi * spread)[1]
            joint.append(self.log_weights[k] - 0.5 * size)
        total = np.logaddexp.reduce(joint)
        return total, np.array(joint) - total, np.stack(means), np.stack(spreads)


def same(found, expected):
    np.testing.assert_allclose(found.numpy(), expected, rtol=0.0, atol=1e-9)


def same_state(mixture, row, step, log_weights, means, spreads):
    """Compare a belief about the state of one step with the dense one about all states."""
    here = slice(step * X, (step + 1) * X)
    same(mixture.log_weights[row, step], log_weights)
    same(mixture.means[row, step], means[:, here])
    covariance = mixture.covariances.expand(*mixture.means.shape, X)
    same(covariance[row, step], spreads[:, here, here])


MASKS = {
    "all": None,
    "per row": torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 1, 0, 1, 0]]).bool(),
    "shared": torch.tensor([1, 1, 0, 0, 0, 1]).bool(),
    "nothing": torch.zeros(1, T, dtype=torch.bool),
}


@pytest.mark.parametrize("observed", MASKS.values(), ids=MASKS.keys())
def test_filter_smoother_and_likelihood_are_the_dense_answer(observed):
    rng = torch.Generator().manual_seed(1)
    model = random_model(rng)
    values = 2.0 * torch.randn(2, T, V, dtype=DOUBLE, generator=rng)
    seen = torch.ones(2, T).bool() if observed is None else observed.expand(2, T)
    run = kalman_filter(model, values.masked_fill(~seen[..., None], torch.nan), observed)
    smoothed = rts_smoother(model, run)
    dense = Dense(model, T)
    for row in range(2):
        y, there = values[row].numpy(), seen[row].numpy()
        likelihoods = []
        for step in range(T):
            until = there & (np.arange(T) < step)
            before = dense.given(y, until)
            same_state(run.predicted, row, step, *before[1:])
            until[step] = there[step]
            after = dense.given(y, until)
            same_state(run.filtered, row, step, *after[1:])
            likelihoods.append(after[0] - before[0])
        same(run.log_likelihood[row], likelihoods)
        whole = dense.given(y, there)
        for step in range(T):
            same_state(smoothed, row, step, *whole[1:])
        same(log_likelihood(model, values, observed)[row], whole[0])
        assert (run.log_likelihood[row][~seen[row]] == 0.0).all()


def test_prediction_is_the_dense_answer_without_later_observations():
    rng = torch.Generator().manual_seed(2)
    model = random_model(rng)
    values = torch.randn(1, T, V, dtype=DOUBLE, generator=rng)
    ahead = predict(model, kalman_filter(model, values[:, :2]).filtered.at(-1), T - 2)
    dense = Dense(model, T)
    _, log_weights, means, spreads = dense.given(values[0].numpy(), np.arange(T) < 2)
    for step in range(T - 2):
        here = slice((step + 2) * X, (step + 3) * X)
        same(ahead.log_weights[0, step], log_weights)
        same(ahead.means[0, step], means[:, here])
        same(ahead.covariances[0, step], spreads[:, here, here])
    emitted = emit(model, ahead)
    look = dense.to_values[2 * V :]
    same(emitted.means[0, -1], (means @ look.T)[:, -V:])
    same(emitted.covariances[0, -1], (look @ spreads @ look.T + dense.noise[2 * V :, 2 * V :])[:, -V:, -V:])


def test_moments_of_a_mixture_by_hand():
    mixture = GaussianMixture(
        torch.tensor([0.25, 0.75]).log(), torch.tensor([[0.0], [4.0]]), torch.tensor([[[1.0]], [[2.0]]])
    )
    mean, covariance = mixture.moments()
    torch.testing.assert_close(mean, torch.tensor([3.0]))
    torch.testing.assert_close(covariance, torch.tensor([[0.25 * 1 + 0.75 * 2 + 0.25 * 9 + 0.75 * 1]]))
    mean, covariance = mixture.most_likely()
    assert mean.tolist() == [4.0] and covariance.tolist() == [[2.0]]


def test_agrees_with_filterpy():
    model = cannonball(DOUBLE, process_noise=0.01)
    rng = torch.Generator().manual_seed(3)
    first = draw(model.start(), rng)
    _, values = simulate(model, first, 20, rng)
    other = KalmanFilter(dim_x=4, dim_z=2)
    other.x, other.P = model.start_means[0].numpy(), model.start_covariances[0].numpy()
    other.F, other.H = model.transition.numpy(), model.emission.numpy()
    other.Q, other.R, other.B = model.process_noise.numpy(), model.observation_noise.numpy(), np.eye(4)
    seen = torch.arange(20) % 5 != 3
    means, spreads, likelihoods = [], [], []
    for step, value in enumerate(values.numpy()):
        if step:
            other.predict(u=model.force.numpy())
        other.update(value if seen[step] else None)
        means.append(other.x)
        spreads.append(other.P)
        likelihoods.append(other.log_likelihood if seen[step] else 0.0)
    run = kalman_filter(model, values, seen)
    same(run.filtered.means[:, 0], np.stack(means))
    same(run.filtered.covariances[:, 0], np.stack(spreads))
    same(run.log_likelihood, likelihoods)
    # Their smoother knows no force; covariances do not depend on it.
    _, spreads, _, _ = other.rts_smoother(np.stack(means), np.stack(spreads))
    same(rts_smoother(model, run).covariances[:, 0], spreads)


@pytest.mark.parametrize("process_noise", [0.0, 1e-3])
def test_stays_positive_definite_over_a_thousand_single_precision_steps(process_noise):
    rng = torch.Generator().manual_seed(4)
    model = cannonball(torch.float32, components=2, process_noise=process_noise)
    _, values = simulate(model, draw(model.start(), rng), 1000, rng)
    seen = torch.rand(1000, generator=rng) > 0.3
    run = kalman_filter(model, values, seen)
    precise = LGSSM(**{name: tensor.double() for name, tensor in vars(model).items()})
    exact = kalman_filter(precise, values.double(), seen)
    beliefs = run.predicted, run.filtered, rts_smoother(model, run)
    judges = exact.predicted, exact.filtered, rts_smoother(precise, exact)
    for found, judge in zip(beliefs, judges, strict=True):
        assert found.means.isfinite().all()
        assert (torch.linalg.cholesky_ex(found.covariances).info == 0).all()
        largest = judge.covariances.abs().amax(dim=(-2, -1))
        apart = (found.covariances - judge.covariances).abs().amax(dim=(-2, -1))
        assert (apart < 1e-3 * largest).all()


def test_gradients_of_the_likelihood():
    rng = torch.Generator().manual_seed(5)
    values = torch.randn(2, 4, V, dtype=DOUBLE, generator=rng)
    values[0, 1] = torch.nan
    seen = torch.tensor([[True, False, True, True], [True, True, True, False]])
    base = random_model(rng, components=2)
    parameters = tuple(tensor.clone().requires_grad_() for tensor in vars(base).values())

    def likelihood(a, u, q, c, r, logits, means, starts):
        q, r, starts = (0.5 * (matrix + matrix.mT) for matrix in (q, r, starts))
        return log_likelihood(LGSSM(a, u, q, c, r, logits, means, starts), values, seen)

    assert torch.autograd.gradcheck(likelihood, parameters)


def test_rows_of_episodes_and_objects_do_not_influence_each_other():
    rng = torch.Generator().manual_seed(6)
    model = random_model(rng)
    values = torch.randn(2, 3, T, V, dtype=DOUBLE, generator=rng)
    seen = torch.rand(2, 3, T, generator=rng) > 0.4
    means, spreads = kalman_filter(model, values, seen).filtered.moments()
    assert means.shape == (2, 3, T, X) and spreads.shape == (2, 3, T, X, X)
    mean, spread = kalman_filter(model, values[1, 2], seen[1, 2]).filtered.moments()
    torch.testing.assert_close(means[1, 2], mean)
    torch.testing.assert_close(spreads[1, 2], spread)
    by_episode = rts_smoother(model, kalman_filter(model, values, seen[:, :1]))
    alone = rts_smoother(model, kalman_filter(model, values[1, 2], seen[1, 0]))
    torch.testing.assert_close(by_episode.moments()[1][1, 2], alone.moments()[1])


def test_samples_have_the_moments_of_the_model():
    rng = torch.Generator().manual_seed(7)
    model = cannonball(DOUBLE, components=2)
    states, values = simulate(model, draw(model.start(20_000), rng), 3, rng)
    mean, spread = emit(model, predict(model, model.start(), 2)).moments()
    torch.testing.assert_close(values[:, 1:].mean(dim=0), mean, rtol=0.0, atol=0.05)
    torch.testing.assert_close(values[:, 2].T.cov(), spread[1], rtol=0.0, atol=0.1)
    # Without process noise all after the first state is determined.
    _, follow = simulate(model, states[:, 0], 3, torch.Generator().manual_seed(8))
    assert follow.shape == (20_000, 3, 2)
    torch.testing.assert_close(
        states[:, 1], states[:, 0] @ model.transition.T + model.force, rtol=0.0, atol=1e-12
    )


def test_one_step_leaves_nothing_to_smooth():
    model = cannonball(DOUBLE, components=2)
    run = kalman_filter(model, torch.zeros(1, 2, dtype=DOUBLE))
    smoothed = rts_smoother(model, run)
    for found, expected in zip(vars(smoothed).values(), vars(run.filtered).values(), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_named():
    model = cannonball(DOUBLE)
    values = torch.zeros(3, 5, 2, dtype=DOUBLE)
    with pytest.raises(ValueError, match=r"\[\*B T 2\]"):
        kalman_filter(model, values[..., :1])
    for observed in (torch.ones(3, 5), torch.ones(2, 5).bool(), torch.ones(1, 3, 5).bool()):
        with pytest.raises(ValueError, match="broadcast to"):
            kalman_filter(model, values, observed)
    values[1, 2] = torch.inf
    with pytest.raises(ValueError, match="mark what is missing"):
        kalman_filter(model, values, torch.arange(5) < 4)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        predict(model, model.start(), 0)
    with pytest.raises(ValueError, match=r"force must have shape \(4,\)"):
        LGSSM(**{**vars(model), "force": torch.zeros(2)})
