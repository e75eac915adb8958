"""What every test may use, and what the pytest header says about it."""

import os

# scikit-learn's array API checks skip themselves without it, and SciPy reads it on import.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# The problems are tiny: threads would spend the time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def pytest_report_header():
    return f"skdiva: devices tested: {', '.join(DEVICES)} (torch {torch.__version__})"


@pytest.fixture(params=DEVICES)
def device(request):
    """Every device of this machine: always "cpu", "cuda" when there is one."""
    return request.param
