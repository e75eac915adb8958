"""Weighted ridge models, factorised."""

from skdiva.loo.ridge._precision import full_float32

__all__ = ["full_float32"]
