"""The recipe of doc/modalities.rst, run with a tiny CLIP of random weights."""

import re
import textwrap
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import log_softmax
from sklearn.linear_model import Ridge

PAGE = Path(__file__).resolve().parents[1] / "doc" / "modalities.rst"
PRETRAINED = "openai/clip-vit-base-patch32"
COLORS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
SIZE = 32


def recipe():
    """Code of the page."""
    (block,) = re.findall(
        r"^\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", PAGE.read_text(), re.MULTILINE
    )
    return textwrap.dedent(block)


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory):
    """Folder with a CLIP that reads letters and images of 32 x 32 pixels; nothing is downloaded."""
    transformers = pytest.importorskip("transformers")
    letters = [*ascii_lowercase, "."]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = transformers.CLIPTokenizer({token: i for i, token in enumerate(tokens)}, [])
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    sizes["num_attention_heads"] = 2
    end = len(tokens) - 1
    config = transformers.CLIPConfig(
        text_config=sizes
        | {"vocab_size": len(tokens), "bos_token_id": end - 1, "eos_token_id": end}
        | {"pad_token_id": end},
        vision_config=sizes | {"image_size": SIZE, "patch_size": 8},
        projection_dim=8,
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    transformers.CLIPModel(config).save_pretrained(folder)
    square = {"height": SIZE, "width": SIZE}
    images = transformers.CLIPImageProcessor(size={"shortest_edge": SIZE}, crop_size=square)
    transformers.CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def noisy_images(n_each, seed):
    """Images of one color with noise, and the names of the colors."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(COLORS), n_each)
    noise = rng.integers(-40, 40, (len(labels), SIZE, SIZE, 3))
    pixels = np.clip(np.array([COLORS[label] for label in labels])[:, None, None] + noise, 0, 255)
    return [Image.fromarray(picture) for picture in pixels.astype(np.uint8)], labels


@pytest.fixture(scope="module")
def ran(tiny_clip):
    """What the code of the page leaves behind."""
    code = recipe()
    assert code.count(PRETRAINED) == 2
    images, labels = noisy_images(4, seed=0)
    new_images, _ = noisy_images(5, seed=1)
    namespace = {"images": images, "labels": labels, "new_images": new_images}
    exec(code.replace(PRETRAINED, str(tiny_clip)), namespace)
    return namespace


def test_rows_are_the_normalised_embeddings_of_images_and_prompts(ran):
    assert ran["X"].shape == (12, 8)
    assert ran["X_pool"].shape == (len(ran["prompts"]), 8)
    for rows in (ran["X"], ran["X_pool"]):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    inputs = ran["processor"](text=ran["prompts"][1:2], return_tensors="pt")
    with torch.no_grad():
        alone = ran["model"].text_projection(ran["model"].text_model(**inputs).pooler_output)[0]
    np.testing.assert_allclose(ran["X_pool"][1], alone / alone.norm(), atol=1e-5)


def test_every_prompt_has_the_name_of_its_class_as_label(ran):
    extender, prompts = ran["extender"], ran["prompts"]
    labels = np.repeat(ran["names"], len(ran["templates"]))
    assert len(extender.support_) == len(prompts) == 3 * len(ran["templates"])
    for prompt, label in zip(prompts, labels, strict=True):
        assert label in prompt


def refitted_loss(ran, added):
    """Mean loss of images and prompts, each predicted by a ridge model refitted without it."""
    one_hot = np.eye(len(ran["names"]))
    y = one_hot[np.searchsorted(ran["names"], ran["labels"])]
    y = np.concatenate([y, np.repeat(one_hot, len(ran["templates"]), axis=0)])
    X = np.concatenate([ran["X"], ran["X_pool"]]).astype(float)
    trained_on = [*range(len(ran["X"])), *(len(ran["X"]) + np.asarray(added, dtype=int))]
    losses = []
    for i in range(len(y)):
        others = [row for row in trained_on if row != i]
        model = Ridge(ran["extender"].alpha_, fit_intercept=False).fit(X[others], y[others])
        losses.append(-log_softmax(model.predict(X[i : i + 1])[0]) @ y[i])
    return np.mean(losses)


def test_the_prompts_chosen_lower_the_loss(ran):
    extender = ran["extender"]
    chosen = extender.select(len(ran["helpful"]))
    assert ran["helpful"] == [ran["prompts"][row] for row in np.sort(chosen)]
    assert len(chosen)
    before, after = refitted_loss(ran, []), refitted_loss(ran, chosen)
    assert after < before
    assert extender.loo_loss_path_[[0, -1]] == pytest.approx([before, after], rel=1e-4)


def test_new_images_are_labeled(ran):
    assert list(ran["predicted"]) == list(np.repeat(list(COLORS), 5))
