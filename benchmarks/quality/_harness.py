"""What the quality benchmarks share: measures, time and memory, parallel runs, printed tables."""

import argparse
import time
from collections import defaultdict
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from statistics import fmean, median, stdev

import joblib
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from skdiva import __version__

PACKAGES = ["cleanlab", "scikit-learn", "torch", "numpy"]


def measure(is_wrong, flagged, scores):
    """How well the wrong labels were found: at the method's threshold, and by its ranking."""
    return {
        "precision": precision_score(is_wrong, flagged, zero_division=0),
        "recall": recall_score(is_wrong, flagged),
        "F1": f1_score(is_wrong, flagged),
        "AUC": roc_auc_score(is_wrong, scores),
        "AP": average_precision_score(is_wrong, scores),
        "flagged": float(flagged.mean()),
    }


def timed(function, *args):
    """Answer, seconds, and peak memory (MiB) over what was resident before (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, start = _resident("VmRSS"), time.perf_counter()
    answer = function(*args)
    return answer, time.perf_counter() - start, _resident("VmHWM") - before


def _resident(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def average(measures):
    """Mean of every measure over runs; of the seconds the median, which one hiccup cannot move."""
    measures = list(measures)
    return {
        name: (median if name == "seconds" else fmean)(run[name] for run in measures)
        for name in measures[0]
    }


def means_by_problem(jobs, answers):
    """Return {problem: {method: mean measures}}; the first three parts of a job are its problem."""
    runs = defaultdict(list)
    for job, measures in zip(jobs, answers, strict=True):
        runs[job[:3]].append(measures)
    return {
        problem: {method: average(run[method] for run in found) for method in found[0]}
        for problem, found in runs.items()
    }


def t_value(differences, test_share):
    """Mean over its standard error, corrected for overlapping training sets (Nadeau, Bengio)."""
    spread = stdev(differences)
    if spread == 0:
        return 0.0
    return fmean(differences) / (
        spread * sqrt(1 / len(differences) + test_share / (1 - test_share))
    )


def run_parallel(function, jobs, n_jobs):
    """Call ``function(*job)`` for every job, each on one core."""
    return joblib.Parallel(n_jobs=n_jobs, verbose=5)(joblib.delayed(function)(*j) for j in jobs)


def markdown_table(header, rows):
    """Return an aligned table under a header whose names are separated by bars.

    Numbers are right-aligned, with three decimals.
    """
    columns = []
    for name, values in zip(header.split("|"), zip(*rows, strict=True), strict=True):
        is_text = isinstance(values[0], str)
        cells = [name, *(values if is_text else map("{:.3f}".format, values))]
        width = max(map(len, cells))
        rule = "-" * width if is_text else "-" * (width - 1) + ":"
        cells = [cell.ljust(width) if is_text else cell.rjust(width) for cell in cells]
        columns.append([cells[0], rule, *cells[1:]])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*columns, strict=True))


def where_it_ran(n_jobs):
    """Versions and cores, one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    cores = joblib.effective_n_jobs(n_jobs)
    return f"skdiva {__version__}, {versions}; {cores} CPU cores, each run on one."


def parser(doc, *, seeds):
    """Arguments common to all."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the sets of _sets.py that are files")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="default: all that are there")
    parser.add_argument("--seeds", type=int, default=seeds, help="default: %(default)s")
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one per core)")
    parser.add_argument("--output", type=Path, help="also write the report to this file")
    return parser


def write(report, arguments):
    """Print the report, and save it if asked to."""
    print(report)
    if arguments.output:
        arguments.output.write_text(report + "\n")
