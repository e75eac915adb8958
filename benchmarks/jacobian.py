"""Cost of the features of a network, relative to the passes of the network itself.

    python benchmarks/jacobian.py [--data FOLDER] [--threads 1] [--batch 64]

For each network, it prints the milliseconds of a forward pass without gradients and of a forward
and backward pass, both for a whole batch. The other columns are ratios. Penultimate activations are
compared with the forward pass (at most 1.15). The rest is compared with forward and backward pass
(at most 2.5): per-sample gradients of all parameters along a random direction, the same written to
an array, the same projected to 1000 columns, and gradients by one backward pass per row. All
figures are medians of interleaved repeats. With the weights in FOLDER, the networks are ResNet-20
(32 pixels) and MobileNetV2 (96 pixels), else a small convolutional network. A GPU is used if there
is one.
"""

import argparse
import importlib.util
import statistics
import time
from pathlib import Path

import torch
from torch import nn

from skdiva.features.network import FoldedProjection, FrozenNetwork, PerSampleGradients

N_COMPONENTS = 1000
ROWS_ONE_AT_A_TIME = 8


def small_network():
    torch.manual_seed(0)
    layers = []
    for inputs, outputs, stride in [(3, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)]:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)]
    return nn.Sequential(*layers, *head).eval()


def networks(folder):
    """Return the name, the network and the shape of a row of each network."""
    if folder is None:
        return [("four convolutions, 32 px", small_network(), (3, 32, 32))]
    weights = folder / "weights"
    resnet, mobilenet = (
        load_module(weights / f"arch_{n}.py") for n in ("resnet_cifar", "mobilenetv2")
    )
    mobile = mobilenet.MobileNetV2()
    state = torch.load(weights / "mobilenetv2_imagenet_fp16.pt", weights_only=True)
    mobile.load_state_dict({name: value.float() for name, value in state.items()})
    return [
        ("ResNet-20, 32 px", resnet.load(weights / "resnet20_cifar10.pt", 3), (3, 32, 32)),
        ("MobileNetV2, 96 px", mobile.eval(), (3, 96, 96)),
    ]


def load_module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(network, shape, batch, repeats, device):
    """Return the median seconds of each computation."""
    network = network.to(device)
    x = torch.randn(batch, *shape, device=device)
    frozen = FrozenNetwork(network, device, torch.float32)
    gradients = PerSampleGradients(frozen, frozen.parameter_names("all"), x)
    direction = torch.randn(frozen.check(x), device=device)
    projection = FoldedProjection(gradients.n_columns, N_COMPONENTS, 0, device)
    dense = torch.empty(batch, gradients.n_columns, device=device)

    def backward(rows):
        network.zero_grad()
        (network(rows) @ direction).sum().backward()

    def forward():
        with torch.no_grad():
            network(x)

    def last():
        with torch.no_grad():
            frozen.penultimate(x)

    def written():
        for start, block in gradients.blocks(x, direction):
            dense[:, start : start + block.shape[1]] = block

    def projected():
        out = x.new_zeros(batch, N_COMPONENTS)
        for start, block in gradients.blocks(x, direction):
            projection.add(out, start, block)

    ways = {
        "forward": forward,
        "last": last,
        "both": lambda: backward(x),
        "blocks": lambda: [None for _ in gradients.blocks(x, direction)],
        "written": written,
        "projected": projected,
        "alone": lambda: [backward(x[i : i + 1]) for i in range(ROWS_ONE_AT_A_TIME)],
    }
    seconds = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            seconds[name].append(timed(way, device))
    medians = {name: statistics.median(runs[1:]) for name, runs in seconds.items()}
    medians["alone"] *= batch / ROWS_ONE_AT_A_TIME
    return medians


def timed(way, device):
    start = time.perf_counter()
    way()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with weights/")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{device}, {arguments.threads} thread(s), batches of {arguments.batch}\n")
    print("| network | forward (ms) | forward + backward (ms) | last | blocks | written "
          "| projected | one at a time |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name, network, shape in networks(arguments.data):
        m = measure(network, shape, arguments.batch, arguments.repeats, device)
        over = [m["last"] / m["forward"]]
        over += [m[way] / m["both"] for way in ("blocks", "written", "projected", "alone")]
        times = f"{1e3 * m['forward']:.0f} | {1e3 * m['both']:.0f}"
        print(f"| {name} | {times} | " + " | ".join(f"{x:.2f}" for x in over) + " |", flush=True)


if __name__ == "__main__":
    main()
