"""RankingDisplay: first and last rows of the ranking of a pool."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from skdiva import DivaExtender
from skdiva.inspection import RankingDisplay

X, y = load_digits(n_class=3, return_X_y=True)
X_POOL, Y_POOL = X[60:160], y[60:160].copy()
Y_POOL[::10] = (Y_POOL[::10] + 1) % 3
RANKING = np.array([3, 1, 5, 2, 4])


@pytest.fixture(scope="module")
def extender():
    return DivaExtender().fit(X[:60], y[:60], X_pool=X_POOL, y_pool=Y_POOL)


def lines(display):
    """Text of every line of the table."""
    cells = display.table_.get_celld()
    n_lines, n_columns = np.max(list(cells), axis=0) + 1
    return [[cells[i, j].get_text().get_text() for j in range(n_columns)] for i in range(n_lines)]


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: (rows,)], ids=["plain", "tuple"])
def test_images_are_the_ends_of_the_ranking(extender, wrap):
    display = RankingDisplay.from_estimator(
        extender, wrap(X_POOL), wrap(Y_POOL), image_shape=(8, 8), n_shown=3
    )
    first, last = display.first_rows_, display.last_rows_
    assert_array_equal(extender.ranking_[first], [1, 2, 3])
    assert_array_equal(extender.ranking_[last], [100, 99, 98])
    assert_array_equal(first, extender.select(3))
    assert (last % 10 == 0).all()
    rows = [*first, *last]
    images = np.array([image.get_array() for image in display.images_])
    assert_array_equal(images, X_POOL[rows].reshape(6, 8, 8))
    derivative, rank = extender.pool_derivative_, extender.ranking_
    assert [text.get_text() for text in display.ax_.texts] == [
        *(f"label {Y_POOL[i]}\nrank {rank[i]}\nderiv. {derivative[i]:.2g}" for i in rows),
        "ranked first",
        "ranked last",
    ]


def test_table(extender):
    display = RankingDisplay.from_estimator(extender, X_POOL, Y_POOL, n_shown=2, columns=[20])
    titles, *rest = lines(display)
    assert titles == ["row", "rank", "derivative", "label", "column 20"]
    rows = [*display.first_rows_, *display.last_rows_]
    derivative, rank = extender.pool_derivative_, extender.ranking_
    assert rest == [
        [str(i), str(rank[i]), f"{derivative[i]:.3g}", str(Y_POOL[i]), f"{X_POOL[i, 20]:.4g}"]
        for i in rows
    ]


def test_ranks_alone():
    display = RankingDisplay(ranking=RANKING, X=np.eye(5)).plot()
    assert_array_equal(display.first_rows_, [1, 3])
    assert_array_equal(display.last_rows_, [2, 4])
    assert lines(display)[0][:3] == ["row", "rank", "column 0"]
    images = RankingDisplay(ranking=RANKING, X=np.ones((5, 2, 2))).plot(n_shown=1)
    assert [text.get_text() for text in images.ax_.texts[:2]] == ["rank 1", "rank 5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.eye(4)}, r"one row for each of the 5 numbers in ranking, got .*\(4, 4\)"),
        ({"derivative": [1.0]}, r"derivative must have shape \(5,\), got \(1,\)"),
        ({"ranking": [1], "X": np.eye(1)}, "ranking must hold at least 2 numbers, got 1"),
        ({"ranking": [1, 2, 3, 4, np.nan]}, "ranking must hold finite numbers"),
    ],
)
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        RankingDisplay(**{"ranking": RANKING, "X": np.eye(5)} | arguments)
