"""Progress bars, which are imported only if an estimator is verbose.

In a notebook, ``tqdm.auto`` warns on import if there are no widgets.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm.auto import tqdm


@contextmanager
def progress_bar(name: str, total: int | None, unit: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar, which ends at 100 % also if less was done than was planned.

    Parameters
    ----------
    name : str
        Name of the estimator.
    total : int or None
        Largest number of units; None if it is not known.
    unit : str
        Name of a unit.

    Yields
    ------
    advance : callable
        ``advance(n)`` adds n units, by default one, and ``advance(to=n)`` sets their number. Other
        keywords are shown beside the bar.
    """
    with tqdm(total=total, desc=name, unit=unit) as bar:

        def advance(n: int = 1, *, to: int | None = None, **shown: str) -> None:
            bar.set_postfix(shown, refresh=False)
            bar.update(n if to is None else to - bar.n)

        yield advance
        bar.total = bar.n
        bar.refresh()


def tracked(items: Iterable[Any], name: str, unit: str) -> Iterable[Any]:
    """Return the items, with a progress bar that is shown while they are read."""
    return tqdm(items, desc=name, unit=unit)
