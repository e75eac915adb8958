"""Finding wrong labels with the features of a pretrained network, beside cleanlab on the same.

    python benchmarks/quality/networks.py --data FOLDER

MobileNetV2, trained on ImageNet, reads flowers and CIFAR-10 images enlarged to 96 pixels. A fifth
of the labels are flipped uniformly, or labels are wrong as people gave them (CIFAR-10N). The new
head of the linearized network is random, so that no feature depends on a label. Linearized outputs
are scored by the default only.
"""

import importlib.util
from collections import defaultdict
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from _harness import markdown_table, measure, parser, timed, where_it_ran, write
from _methods import Findings, Rows, cleanlab_with
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdiva import DivaOutlierDetector
from skdiva.datasets import flip_labels
from skdiva.features import JacobianFeaturizer, replace_head

N_COMPONENTS = 3000
SIZE = 96
N_CIFAR = 600  # the first of the images; Jacobians of ten outputs each take minutes
SETS = {
    "flowers, uniform 20%": ("flowers12/images96_train.npz", None),
    "CIFAR-10, uniform 20%": ("cifar10n_a/images_first3000.npz", "clean_label"),
    "CIFAR-10N aggregate": ("cifar10n_a/images_first3000.npz", "aggre_label"),
    "CIFAR-10N worst": ("cifar10n_a/images_first3000.npz", "worse_label"),
}


class Ready(BaseEstimator):
    """Per-output features that were computed before, of one set of rows."""

    def __init__(self, features=None, outputs=None):
        self.features = features
        self.outputs = outputs

    def __sklearn_clone__(self):
        return self

    def fit(self, _X, _y=None):
        return self

    def transform(self, _X):
        return self.features

    def initial_outputs(self, _X):
        return self.outputs


def mobilenet(folder):
    """The network with its ImageNet weights."""
    weights = folder / "weights"
    spec = importlib.util.spec_from_file_location("arch", weights / "arch_mobilenetv2.py")
    arch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(arch)
    network = arch.MobileNetV2()
    state = torch.load(weights / "mobilenetv2_imagenet_fp16.pt", weights_only=True)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network


def load(name, folder):
    """Images (n, 3, 96, 96) in [-1, 1], given labels and true ones."""
    file, labels = SETS[name]
    with np.load(folder / file) as arrays:
        images = arrays["X"] if labels is None else arrays["X"][:N_CIFAR]
        given = true = arrays.get("y")
    if labels is not None:
        with np.load(folder / "cifar10n_a/labels.npz") as arrays:
            given, true = arrays[labels][:N_CIFAR], arrays["clean_label"][:N_CIFAR]
    X = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    X = torch.nn.functional.interpolate(X, size=SIZE, mode="bilinear", antialias=True)
    return X.numpy(), given, true


@cache
def features(file, folder, n_outputs):
    """Features by name, of all images of a file, and what they took in seconds."""
    name = next(name for name, (f, _) in SETS.items() if f == file)
    X, *_ = load(name, folder)
    network = mobilenet(folder)
    with_head = replace_head(network, n_outputs, X[:2], random_state=0)
    linearized = JacobianFeaturizer(
        with_head, parameters="all", outputs="each", n_components=N_COMPONENTS
    )
    makers = {
        "last layer": JacobianFeaturizer(network),
        "all layers, random output": JacobianFeaturizer(
            network, parameters="all", n_components=N_COMPONENTS
        ),
        "full linearization": linearized,
    }
    made = {"pixels": X.reshape(len(X), -1)[:, ::16]}  # pixels are enlarged
    seconds = {"pixels": 0.0}
    for key, maker in makers.items():
        made[key], seconds[key], _ = timed(maker.fit_transform, X)
    made["full linearization"] = Ready(made["full linearization"], linearized.initial_outputs(X))
    return made, seconds


def methods(made, y, seed):
    """Every feature with every method that takes it: name to findings."""
    X = made["pixels"]
    for name, read in made.items():
        joint = isinstance(read, Ready)
        detectors = {"skdiva": DivaOutlierDetector(featurizer=read if joint else "auto")}
        if not joint:
            detectors["skdiva, paper's rule"] = DivaOutlierDetector(
                criterion="derivative", featurizer=StandardScaler()
            )
        for method, detector in detectors.items():
            flagged = detector.fit_predict(X if joint else read, y) == -1
            yield (name, method), Findings(flagged, detector.outlier_scores_)
        if not joint:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
            yield (
                (name, "cleanlab, logistic regression"),
                cleanlab_with(model, read, Rows(read, read, y, seed)),
            )


def main():
    arguments = parser(__doc__, seeds=2).parse_args()
    folder = Path(arguments.data)
    answers, seconds = defaultdict(list), {}
    for name in arguments.sets or SETS:
        file, _ = SETS[name]
        _, given, true = load(name, folder)
        codes = np.unique(given, return_inverse=True)[1]
        made, seconds[file] = features(file, folder, len(np.unique(codes)))
        n_seeds = arguments.seeds if "uniform" in name else 1
        for seed in range(n_seeds):
            y, is_wrong = codes, given != true
            if "uniform" in name:
                y, is_wrong = flip_labels(codes, 0.2, random_state=seed)
            for method, found in methods(made, y, seed):
                answers[name, *method].append(measure(is_wrong, *found))
                print(name, seed, *method, answers[name, *method][-1], flush=True)
    rows = [
        [*key, *(fmean(run[m] for run in runs) for m in ("F1", "AUC", "AP", "flagged"))]
        for key, runs in answers.items()
    ]
    table = markdown_table("labels|features|method|F1|AUC|AP|flagged", rows)
    costs = markdown_table(
        "images|features|seconds",
        [[file, name, spent] for file, found in seconds.items() for name, spent in found.items()],
    )
    where = where_it_ran(1)
    write(REPORT.format(seeds=arguments.seeds, where=where, table=table, costs=costs), arguments)


REPORT = f"""# Finding wrong labels with the features of a network

`python benchmarks/quality/networks.py`. The network is MobileNetV2 (ImageNet), on images of 96
pixels: 720 flowers of 12 classes and {N_CIFAR} images of CIFAR-10. The Jacobians of all 3.5
million parameters are projected to {N_COMPONENTS} columns. Results for uniform noise are means
over {{seeds}} seeds. {{where}}

"skdiva" is the default detector on these features, and "paper's rule" flags positive derivatives.
cleanlab trains 5-fold logistic regressions on the same features, standardized. Linearized outputs
share their coefficients, for which logistic regression has no equivalent.

{{table}}

## Seconds for the features

{{costs}}"""


if __name__ == "__main__":
    main()
