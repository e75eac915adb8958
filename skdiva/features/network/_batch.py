"""Rows of a batch: a tensor, or a dict of tensors that is passed as keywords."""


def n_rows(batch):
    """Number of rows of a batch: a tensor, or a dict of tensors."""
    return len(next(iter(batch.values())) if isinstance(batch, dict) else batch)


def take_rows(batch, rows):
    """Some rows of a batch: a tensor, or a dict of tensors."""
    if isinstance(batch, dict):
        return {key: value[rows] for key, value in batch.items()}
    return batch[rows]


def row_shape(batch):
    """Shape of a row of a batch; for a dict of tensors, a dict of shapes."""
    if isinstance(batch, dict):
        return {key: tuple(value.shape[1:]) for key, value in batch.items()}
    return tuple(batch.shape[1:])


def call_arguments(batch):
    """Positional arguments and keywords for a batch: a dict of tensors is passed as keywords."""
    return ((), batch) if isinstance(batch, dict) else ((batch,), {})
