"""One number per row, of rows that come block after block."""


class RowCollector:
    """A vector that grows at its end.

    A list of small parts would lie between the gaps that the work on the blocks leaves, and keep
    the heap from reusing them: it would grow by as much as the blocks.

    Parameters
    ----------
    like : tensor
        Of the dtype and on the device of what is collected.
    """

    def __init__(self, like):
        self._numbers, self.n_rows = like.new_empty(2**16), 0

    def append(self, part):
        """Append the numbers (m,) of a block."""
        stop = self.n_rows + len(part)
        if stop > len(self._numbers):
            more = self._numbers.new_empty(max(stop, 2 * len(self._numbers)))
            more[: self.n_rows] = self._numbers[: self.n_rows]
            self._numbers = more
        self._numbers[self.n_rows : stop] = part
        self.n_rows = stop

    def joined(self):
        """All numbers, (n_rows,)."""
        return self._numbers[: self.n_rows]
