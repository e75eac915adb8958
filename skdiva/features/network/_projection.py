"""FoldedProjection: a random projection to few columns that keeps inner products on average."""

import torch


class FoldedProjection:
    """Random projection that adds chunks of columns, with random signs and shifts.

    A chunk is ``n_components`` consecutive columns. Every column gets a random sign and every chunk
    a random cyclic shift; then the chunks are added up: y = sum_c roll(sign_c * x_c, shift_c). This
    is a count sketch without scattered writes, so it is fast and deterministic. Two columns of the
    same chunk are never added to each other. Any two others are, with probability 1 / n_components,
    and their product then has a random sign. Hence E <y, y'> = <x, x'>, with a variance of at most
    (|x|^2 |x'|^2 + <x, x'>^2) / n_components, as for the count sketch.

    Parameters
    ----------
    n_columns : int
        Number of columns, P.
    n_components : int
        Number of columns after the projection, q.
    seed : int
        Determines signs and shifts; they are the same on every device.
    device : torch.device
        Device of the blocks, and of the signs, which take P bytes.
    """

    def __init__(self, n_columns: int, n_components: int, seed: int, device: torch.device | str):
        draw = torch.Generator().manual_seed(seed)
        n_chunks = -(-n_columns // n_components)
        self.n_components = n_components
        self._shifts = torch.randint(n_components, (n_chunks,), generator=draw).tolist()
        signs = torch.randint(2, (n_columns,), generator=draw, dtype=torch.int8)
        self._signs = signs.mul_(2).sub_(1).to(device)

    def add(
        self,
        out: torch.Tensor,
        start: int,
        block: torch.Tensor,
        scale: torch.Tensor | None = None,
    ) -> None:
        """Add the contribution of some columns.

        Parameters
        ----------
        out : tensor of shape (b, q)
            Sum of the contributions so far; changed in place.
        start : int
            Position of the first column of the block among the P columns.
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
            # Up to the end of the block or chunk, or to where the shift wraps around.
            width = min(stop - start, size - column, size - target)
            part, block = block[:, :width], block[:, width:]
            out[:, target : target + width].addcmul_(part, factors[:width])
            factors = factors[width:]
            start += width
