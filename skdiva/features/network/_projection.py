"""FoldedProjection: many columns to few, at random, with inner products kept on average."""

import torch


class FoldedProjection:
    """Random projection that folds the columns, chunk by chunk, onto a few.

    A chunk is ``n_components`` consecutive columns. Every column gets a random sign, every chunk a
    random cyclic shift; the chunks are then added up: y = sum_c roll(sign_c * x_c, shift_c). That
    is a count sketch without scattered writes, so that it is fast and gives the same result every
    time. Two columns of a chunk never meet, any two others meet with probability 1 / n_components,
    and their product has a random sign: E <y, y'> = <x, x'>, with a variance of at most
    (|x|^2 |x'|^2 + <x, x'>^2) / n_components, as for the count sketch.

    Parameters
    ----------
    n_columns : int
        Number of columns, P.
    n_components : int
        Number of columns after it, q.
    seed : int
        Decides signs and shifts, on every device alike.
    device : torch.device
        Where the blocks are; holds P bytes of signs.
    """

    def __init__(self, n_columns, n_components, seed, device):
        draw = torch.Generator().manual_seed(seed)
        n_chunks = -(-n_columns // n_components)
        self.n_components = n_components
        self._shifts = torch.randint(n_components, (n_chunks,), generator=draw).tolist()
        signs = torch.randint(2, (n_columns,), generator=draw, dtype=torch.int8)
        self._signs = signs.mul_(2).sub_(1).to(device)

    def add(self, out, start, block, scale=None):
        """Add what some columns contribute.

        Parameters
        ----------
        out : tensor of shape (b, q)
            What the columns so far gave; changed in place.
        start : int
            Which of the P columns is the first of the block.
        block : tensor of shape (b, m)
            The columns ``start`` to ``start + m``.
        scale : tensor of shape (m,), default=None
            Factors of the columns.
        """
        stop, size = start + block.shape[1], self.n_components
        factors = self._signs[start:stop].to(block.dtype)
        if scale is not None:
            factors *= scale
        while start < stop:
            chunk, column = divmod(start, size)
            target = (column + self._shifts[chunk]) % size
            # Up to the end of the block, of the chunk, or of where the shift wraps around.
            width = min(stop - start, size - column, size - target)
            part, block = block[:, :width], block[:, width:]
            out[:, target : target + width].addcmul_(part, factors[:width])
            factors = factors[width:]
            start += width
