"""Cost of extending a core by rows of a pool, beside plain products and factorizations.

    python benchmarks/extend.py                  # everything
    python benchmarks/extend.py scoring update   # some parts

Parts: ``scoring`` (a pool of a million rows, by `loo.extend` and by `DivaExtender.score_rows`, over
one plain product of the pool with a (p, p) matrix; at most 3 is wanted), ``update`` (adding a batch
over a new factorization, at most a third; the ranking's second Gram over one weighted Gram, at
most 1), ``streams`` (a pool in a file or a dataframe: time and peak memory of a whole fit),
``wide`` (more features than rows in the core).

Ratios are medians over interleaved repeats in one run. One thread, unless ``--threads`` says more.
Peak memory is the largest anonymous memory of a fresh process minus that after imports and data:
pages of a mapped file are not counted.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from skdiva import DivaExtender
from skdiva.loo import ClassTargets, LogLoss, Problem, extend
from skdiva.loo.pool import UpdatedSmoother
from skdiva.loo.ridge import PrimalSmoother, full_float32, total_sums, weighted_gram

N_CORE = 2000
REPEATS = 3
MILLION = 1_000_000, 512, 10, torch.float32
# Rows, features, classes, dtype; ratios hardly depend on the number of rows.
SCORED = [
    MILLION,
    *((100_000, 512, k, d) for d in (torch.float32, torch.float64) for k in (2, 10, 100)),
]
UPDATED = {"n": 20_000, "p": 1024, "batch": 100, "k": 10}
STREAMED = {"n": 1_000_000, "p": 256, "k": 10}
WIDE = [(100, 5000, 512), (100, 5000, 2048), (100, 5000, 4096)]  # core, pool, features


def make_data(n, p, k, dtype=torch.float32, seed=0):
    """Random features (n, p) and labels that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, p, generator=generator, dtype=dtype)
    truth = torch.randn(p, k, generator=generator, dtype=dtype)
    outputs = features @ truth
    outputs += p**0.5 * torch.randn(n, k, generator=generator, dtype=dtype)
    return features, outputs.argmax(dim=1)


def timed(function, *args, **kwargs):
    """Seconds of one call."""
    start = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - start


def interleaved(functions, repeats):
    """Seconds of every function by name, a list per function."""
    seconds = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            seconds[name].append(timed(function))
    return seconds


def ratio(seconds, name, base):
    """Median, least and most of the ratios of two functions, as text."""
    found = sorted(a / b for a, b in zip(seconds[name], seconds[base], strict=True))
    return f"{statistics.median(found):.2f} ({found[0]:.2f}, {found[-1]:.2f})"


def scoring_functions(n, p, k, dtype):
    """Return a plain product of the pool, and both ways to score it."""
    pool, labels = make_data(n, p, k, dtype)
    core, core_labels = make_data(N_CORE, p, k, dtype, seed=1)
    matrix, out = torch.randn(p, p, dtype=dtype), torch.empty_like(pool)
    alpha = 0.1 * N_CORE
    problem = Problem(core, ClassTargets(core_labels, k), loss=LogLoss())
    estimator = DivaExtender(featurizer=None, alpha=alpha, device="cpu")
    estimator.fit(core.numpy(), core_labels.numpy())
    X, y = pool.numpy(), labels.numpy()
    return {
        "product": lambda: torch.mm(pool, matrix, out=out),
        "extend": lambda: extend(problem, alpha, (pool, ClassTargets(labels, k)), n_samples=0),
        "score_rows": lambda: estimator.score_rows(X, y),
    }


def scoring():
    """Print the scoring of a pool over one plain product."""
    print("| rows, p, k, dtype | product (s) | Gflop/s | `extend` | `score_rows` |")
    print("|---|---|---|---|---|")
    for n, p, k, dtype in SCORED:
        repeats = 2 if n >= 1_000_000 else REPEATS
        seconds = interleaved(scoring_functions(n, p, k, dtype), repeats)
        product = statistics.median(seconds["product"])
        extended, scored = (ratio(seconds, name, "product") for name in ("extend", "score_rows"))
        print(
            f"| {n}, {p}, {k}, {name_of(dtype)} | {product:.2f} | "
            f"{2e-9 * n * p * p / product:.0f} | {extended} | {scored} |",
            flush=True,
        )


def update_functions(dtype, n, p, batch, k):
    """Return a new factorization, an update by a batch, and the sums of the ranking."""
    features, labels = make_data(n + batch * (REPEATS + 1), p, k, dtype)
    core, targets = features[:n], ClassTargets(labels[:n], k)
    problem = Problem(core, targets, loss=LogLoss())
    weight = core.new_ones(n)
    pool = iter(zip(features[n:].split(batch), labels[n:].split(batch), strict=True))

    def fresh():
        """C, coefficients, leverages and residuals."""
        smoother = PrimalSmoother(problem.row_blocks(dtype), weight, 0.1 * n, True)
        smoother.residuals(targets), smoother.coefficients(targets)
        return smoother

    smoother = UpdatedSmoother(fresh(), targets)

    def update():
        rows, codes = next(pool)
        smoother.add(rows, ClassTargets(codes, k))
        return smoother.model

    values = smoother.residuals(targets)
    center = torch.zeros(p, dtype=torch.float64)
    update()
    return {
        "fresh": fresh,
        "update": update,
        "sums": lambda: total_sums(smoother.whitened, values, values),
        "plain Gram": lambda: (core * weight[:, None]).T @ core,
        "own Gram": lambda: weighted_gram(problem.row_blocks(dtype), weight, center),
    }


@full_float32()
def update():
    """Print the cost of a batch."""
    sizes = ", ".join(f"{name}={size}" for name, size in UPDATED.items())
    print(f"{sizes}; the sums are the second Gram and the moments T'P")
    print("| dtype | fresh (s) | update / fresh | sums / plain Gram | sums / symmetric Gram |")
    print("|---|---|---|---|---|")
    for dtype in (torch.float32, torch.float64):
        seconds = interleaved(update_functions(dtype, **UPDATED), REPEATS)
        print(
            f"| {name_of(dtype)} | {statistics.median(seconds['fresh']):.2f} "
            f"| {ratio(seconds, 'update', 'fresh')} | {ratio(seconds, 'sums', 'plain Gram')} "
            f"| {ratio(seconds, 'sums', 'own Gram')} |",
            flush=True,
        )


def name_of(dtype):
    """The dtype without its library."""
    return str(dtype).removeprefix("torch.")


class AnonymousMemory(threading.Thread):
    """Largest anonymous memory (GiB) of this process, looked at every few milliseconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.start_size = self.largest = self._now()
        self._done = threading.Event()
        self.start()

    def run(self):
        while not self._done.wait(0.005):
            self.largest = max(self.largest, self._now())

    def added(self):
        """Return how much more it was than at the start."""
        self._done.set()
        return self.largest - self.start_size

    @staticmethod
    def _now():
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) / 2**20


def write_pool(folder, n, p, k):
    """A pool in a file, written a part at a time."""
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (n, p))
    y = np.empty(n, dtype=np.int64)
    step = n // 10
    for seed, start in enumerate(range(0, n, step)):
        part = slice(start, start + step)
        X[part], y[part] = make_data(step, p, k, seed=seed)
    X.flush()
    np.save(folder / "y.npy", y)


def measure_pool(folder, kind):
    """Print seconds and memory of one way to use a pool; runs in a process of its own."""
    import pandas as pd

    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    core = np.array(X[:N_CORE]), y[:N_CORE]
    if kind == "dataframe":
        X = pd.DataFrame(np.array(X), columns=[f"x{i}" for i in range(X.shape[1])])
        core = X[:N_CORE], core[1]
    how = {"featurizer": None, "alpha": 0.1 * N_CORE, "device": "cpu"}
    if kind == "score_rows":
        X = np.array(X)
        estimator = DivaExtender(**how).fit(*core)
        memory = AnonymousMemory()
        seconds = timed(estimator.score_rows, X, y)
    else:
        estimator = DivaExtender(n_samples_to_select=1000, step=500, **how)
        memory = AnonymousMemory()
        seconds = timed(estimator.fit, *core, X_pool=X, y_pool=y)
    print(f"{seconds:.1f} s, {memory.added():.2f} GiB")


def streams():
    """Print time and memory of fits with large pools."""
    sizes = ", ".join(f"{name}={size}" for name, size in STREAMED.items())
    print(f"{sizes}, float32; 1000 rows are added in two batches")
    with tempfile.TemporaryDirectory() as folder:
        write_pool(Path(folder), **STREAMED)
        for kind, label in {
            "file": "fit, pool in a mapped file",
            "dataframe": "fit, pool in a dataframe",
            "score_rows": "score_rows of an array",
        }.items():
            call = [sys.executable, __file__, "--measure", folder, kind]
            answer = subprocess.run(call, check=True, capture_output=True, text=True)
            print(f"{label}: {answer.stdout.strip()}", flush=True)


def wide():
    """Print time and memory of fits with more features than rows in the core."""
    print("core, pool, p, float32 (computed in float64); 50 rows are added at once")
    for n, n_pool, p in WIDE:
        X, y = (part.numpy() for part in make_data(n + n_pool, p, 5))
        estimator = DivaExtender(
            featurizer=None, alpha=0.1 * n, n_samples_to_select=50, step=50, device="cpu"
        )
        memory = AnonymousMemory()
        seconds = timed(estimator.fit, X[:n], y[:n], X_pool=X[n:], y_pool=y[n:])
        print(f"{n}, {n_pool}, {p}: {seconds:.1f} s, {memory.added():.2f} GiB", flush=True)


def main():
    """Run the parts asked for."""
    parts = {"scoring": scoring, "update": update, "streams": streams, "wide": wide}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *parts], help=", ".join(parts))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        if arguments.measure:
            measure_pool(Path(arguments.measure[0]), arguments.measure[1])
            return
        print(
            f"{os.cpu_count()} CPU cores, {arguments.threads} thread(s), torch {torch.__version__}"
        )
        for name in arguments.parts or parts:
            start = time.perf_counter()
            print(f"\n{name}")
            parts[name]()
            print(f"({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
