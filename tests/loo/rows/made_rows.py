"""Row source whose rows are computed when they are read."""

import torch

from skdiva.loo import RowSource


class MadeRows(RowSource):
    """Rows that ``function(positions)`` returns, for int64 positions."""

    def __init__(self, function, n_rows, dtype=torch.float64, device="cpu"):
        positions = torch.zeros(1, dtype=torch.int64, device=device)
        super().__init__(n_rows, function(positions).shape[1], dtype, device)
        self.function = function

    def read(self, rows):
        if isinstance(rows, slice):
            rows = torch.arange(rows.start, rows.stop, device=self.device)
        return self.function(rows).to(self.dtype)
