"""Rows of features, visited in blocks."""

from skdiva.loo.rows._budget import free_bytes, is_out_of_memory

__all__ = ["free_bytes", "is_out_of_memory"]
