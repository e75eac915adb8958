"""Cost of the complete dataset derivative, against plain fits of the same data.

    python benchmarks/derivative.py                  # everything
    python benchmarks/derivative.py ratios ridgecv   # some parts

Parts: ``ratios`` (loss and all n derivatives over one plain torch Cholesky ridge fit), ``ridgecv``
(over scikit-learn's leave-one-out values alone), ``memory`` (a million rows), ``users``
(fit_predict with everything automatic, import time, a grid search).

Timings are medians over interleaved pairs in one run, on the same float32 data. Peak memory is the
largest resident size of a fresh process minus its size after imports and data.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

PAIRS = 7
RATIO_SHAPES = [(50_000, 1024, 100), (5_000, 2048, 200), (20_000, 512, 10)]


def make_data(n, p, k, seed=0):
    """Random features (n, p) in float32 and labels that depend on them."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, p, generator=generator)
    truth = torch.randn(p, k, generator=generator)
    noise = torch.randn(n, k, generator=generator) * p**0.5
    return features, (features @ truth + noise).argmax(dim=1)


def cholesky_ridge(features, labels, n_classes, alpha):
    """Return the baseline: one plain ridge fit, centered, on one-hot labels."""
    targets = torch.nn.functional.one_hot(labels, n_classes).to(features.dtype)
    centered = features - features.mean(dim=0)
    gram = centered.T @ centered
    gram.diagonal().add_(alpha)
    factor = torch.linalg.cholesky(gram)
    return torch.cholesky_solve(centered.T @ (targets - targets.mean(dim=0)), factor)


def derivative(features, labels, n_classes, alpha):
    """Loss and all n derivatives, penalty fixed."""
    from skdiva.loo import ClassTargets, LogLoss, Problem, evaluate

    problem = Problem(features, ClassTargets(labels, n_classes), loss=LogLoss())
    return evaluate(problem, features.new_ones(len(features)), alpha)


def timed(function, *args):
    """Seconds of one call."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def interleaved(first, second, *args):
    """Medians of both and of the ratios second / first, over interleaved pairs after a warm-up."""
    timed(first, *args), timed(second, *args)
    pairs = [(timed(first, *args), timed(second, *args)) for _ in range(PAIRS)]
    ratios = [b / a for a, b in pairs]
    return (*(statistics.median(column) for column in zip(*pairs, strict=True)), sorted(ratios))


def product_rate(size=2048):
    """Return the machine's own float32 matrix-product rate, flops per second."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    timed(torch.mm, left, right)
    return 2 * size**3 / statistics.median(timed(torch.mm, left, right) for _ in range(PAIRS))


def counted_flops(n, p, k):
    """Flops of the algorithm in the limit of many tiles: 4 products of n p^2 / 2, 4 of n p k."""
    return 2 * n * p * (4 * p / 2 + 4 * k) + 2 * p**3


def ratios():
    """Print the derivative over a plain fit."""
    print("| n, p, k | plain fit (s) | derivative (s) | ratio (least, most) | of product rate |")
    print("|---|---|---|---|---|")
    for n, p, k in RATIO_SHAPES:
        features, labels = make_data(n, p, k)
        fit, full, found = interleaved(cholesky_ridge, derivative, features, labels, k, 0.1 * n)
        share = counted_flops(n, p, k) / full / product_rate()
        print(
            f"| {n}, {p}, {k} | {fit:.3f} | {full:.3f} | "
            f"{statistics.median(found):.2f} ({found[0]:.2f}, {found[-1]:.2f}) | {share:.0%} |"
        )


def leave_one_out_values(features, labels, n_classes, alpha):
    """Leave-one-out predictions alone, penalty fixed."""
    from skdiva.loo import ClassTargets, LogLoss, Problem, predict_leave_one_out

    problem = Problem(features, ClassTargets(labels, n_classes), loss=LogLoss())
    return predict_leave_one_out(problem, features.new_ones(len(features)), alpha)


def ridgecv(n=20_000, p=512, k=10):
    """Print RidgeCV's leave-one-out values over ours, and over the complete derivative."""
    from sklearn.linear_model import RidgeCV

    features, labels = make_data(n, p, k)
    for dtype in (torch.float32, torch.float64):
        X = features.to(dtype)
        targets = np.eye(k, dtype=X.numpy().dtype)[labels.numpy()]

        def peer(X, _labels, _k, alpha, targets=targets):
            RidgeCV([alpha], store_cv_results=True).fit(X.numpy(), targets)

        for name, ours in (("values", leave_one_out_values), ("derivative", derivative)):
            seconds, theirs, found = interleaved(ours, peer, X, labels, k, 0.1 * n)
            print(
                f"n={n}, p={p}, k={k}, {dtype}: RidgeCV's leave-one-out values {theirs:.3f} s, "
                f"our leave-one-out {name} {seconds:.3f} s: {statistics.median(found):.2f} times "
                f"faster ({found[0]:.2f} to {found[-1]:.2f})"
            )


_PEAK_SCRIPT = """
import sys, time, numpy as np, torch
sys.path[:0] = {path!r}
import derivative
from skdiva import DivaOutlierDetector
features, labels = derivative.make_data({n}, {p}, {k})
X, y = features.numpy(), labels.numpy()
def resident(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) / 2**20
before = resident("VmRSS")
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here
start = time.perf_counter()
{call}
print(time.perf_counter() - start, resident("VmHWM") - before)
"""
_DERIVATIVE = "derivative.derivative(features, labels, {k}, 0.1 * {n})"
_FIT_PREDICT = "DivaOutlierDetector().fit_predict(X, y)"


def in_fresh_process(call, n, p, k):
    """Seconds, and peak memory (GiB) over what is resident after imports and data."""
    here = Path(__file__).resolve().parent
    script = _PEAK_SCRIPT.format(
        path=[str(here), str(here.parent)], n=n, p=p, k=k, call=call.format(n=n, k=k)
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return tuple(map(float, answer.stdout.split()))


def memory(n=1_000_000, p=100, k=2):
    """Print time and peak memory of the derivative of a million rows."""
    seconds, peak = in_fresh_process(_DERIVATIVE, n, p, k)
    print(
        f"n={n}, p={p}, k={k}: complete derivative {seconds:.2f} s, "
        f"peak memory {peak:.2f} GiB over the data"
    )


def users():
    """Print the times that users notice."""
    for n, p, k in [(20_000, 256, 10), (1_000_000, 100, 2)]:
        seconds, peak = in_fresh_process(_FIT_PREDICT, n, p, k)
        print(
            f"n={n}, p={p}, k={k}: {_FIT_PREDICT} {seconds:.1f} s, "
            f"peak memory {peak:.2f} GiB over the data"
        )
    imports = [
        timed(subprocess.run, [sys.executable, "-c", f"import {name}"])
        for name in ("skdiva", "torch, sklearn.linear_model")
        for _ in range(3)
    ]
    print(
        f"import skdiva: {statistics.median(imports[:3]):.1f} s "
        f"(torch and sklearn.linear_model alone: {statistics.median(imports[3:]):.1f} s)"
    )
    print(f"9-fit grid search (n=1797, p=64, 10 classes): {timed(grid_search):.1f} s")


def grid_search():
    """Search 3 penalties over 3 folds of a Pipeline on digits."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skdiva import DivaReweighter

    reweighter = DivaReweighter(estimator=LogisticRegression(max_iter=1000))
    pipeline = make_pipeline(StandardScaler(), reweighter)
    grid = {"divareweighter__alpha": [10.0, 100.0, 1000.0]}
    return GridSearchCV(pipeline, grid, cv=3).fit(*load_digits(return_X_y=True))


def main():
    """Run the parts asked for."""
    parts = {"ratios": ratios, "ridgecv": ridgecv, "memory": memory, "users": users}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *parts], help=", ".join(parts))
    chosen = parser.parse_args().parts or parts
    rate = product_rate() / 1e9
    print(
        f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, float32 matrix products {rate:.0f} Gflop/s"
    )
    for name in chosen:
        print(f"\n{name}")
        parts[name]()


if __name__ == "__main__":
    main()
