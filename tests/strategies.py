"""Cases drawn by hypothesis, always the same ones."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.cases import LOSSES, Case

# The `device` fixture is the same for all examples of a test.
SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def cases(draw, smallest_exponent=-9, **fixed):
    """Cases of every kind, penalties of 10**smallest_exponent to 100 mean eigenvalues.

    ``fixed`` are fields of `Case` that are not drawn.
    """
    shape = draw(st.sampled_from(["tall", "wide", "square"]))
    n_rows = draw(st.integers(6, 36))
    n_columns = draw(
        {
            "tall": st.integers(1, n_rows // 3),
            "wide": st.integers(n_rows + 1, n_rows + 20),
            "square": st.just(n_rows),
        }[shape]
    )
    groupings = [None, "ragged"] if n_rows < 2 * (n_columns + 2) else [None, "ragged", "long"]
    loss = draw(st.sampled_from(sorted(LOSSES)))
    drawn = {
        "n_outputs": st.integers(2 if loss == "log_loss" else 1, 5),
        "fit_intercept": st.booleans(),
        "relative_alpha": st.integers(smallest_exponent, 2).map(lambda x: 10.0**x),
        "grouping": st.sampled_from(groupings),
        "zero_weights": st.booleans(),
        "duplicate_rows": st.booleans(),
        "constant_column": st.booleans(),
        "large_means": st.booleans(),
        "raw_scales": st.booleans(),
        "row_scale": st.sampled_from([1.0, 100.0, 10_000.0]),
        "zero_weight_row": st.booleans(),
        "initial_outputs": st.booleans(),
        "block_rows": st.sampled_from([None, 1, 3, 7]),
        "seed": st.integers(0, 10**6),
    }
    fields = {name: draw(strategy) for name, strategy in drawn.items() if name not in fixed}
    return Case(n_rows, n_columns, loss=loss, **(fields | fixed))
