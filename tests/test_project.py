"""The files around the code agree with it and with each other."""

import ast
import configparser
import inspect
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import skdiva
import skdiva.datasets
import skdiva.features
import skdiva.inspection
import skdiva.loo

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
PUBLIC_NAMES = sorted(
    {
        *skdiva.__all__,
        *skdiva.datasets.__all__,
        *skdiva.features.__all__,
        *skdiva.inspection.__all__,
        *skdiva.loo.__all__,
    }
    - {"__version__"}
)
PUBLIC_CLASSES = [
    public
    for package in (skdiva, skdiva.features, skdiva.inspection)
    for name in package.__all__
    if inspect.isclass(public := getattr(package, name))
]


def fenced_blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def required():
    groups = [PYPROJECT["project"]["dependencies"], *EXTRAS.values()]
    return [Requirement(line) for group in groups for line in group]


def test_readme_gives_two_commands_of_one_line():
    install_and_run, install_and_test = fenced_blocks("bash")
    assert install_and_run.count("\n") == install_and_test.count("\n") == 1
    assert "examples/plot_which_labels_are_wrong.py" in install_and_run
    assert "pytest" in install_and_test
    for command in (install_and_run, install_and_test):
        assert "-c constraints.txt" in command
        for extra in re.search(r"\.\[(.*?)\]", command)[1].split(","):
            assert extra in EXTRAS


def test_readme_code_runs():
    (code,) = fenced_blocks("python")
    namespace = {}
    exec(code, namespace)
    assert set(namespace["is_inlier"]) <= {-1, 1}
    assert namespace["weights"].shape == namespace["y"].shape


@pytest.mark.parametrize("requirement", required(), ids=str)
def test_every_dependency_is_pinned_within_its_bounds(requirement):
    bounds = list(requirement.specifier)
    assert [bound.operator for bound in bounds] == [">="]
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_one_lower_bound_per_dependency():
    bounds = {}
    for requirement in required():
        bounds.setdefault(requirement.name, set()).add(str(requirement.specifier))
    assert all(len(specifiers) == 1 for specifiers in bounds.values()), bounds


def test_pytest_is_configured_in_setup_cfg_only():
    assert "pytest" not in PYPROJECT["tool"]
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["tool:pytest"].getboolean("xfail_strict")
    assert config["tool:pytest"]["filterwarnings"].split("\n")[1] == "error"


def test_setup_cfg_is_what_pytest_reads(pytestconfig):
    assert pytestconfig.inipath == ROOT / "setup.cfg"


def test_ruff_is_pinned_in_pre_commit_only():
    assert "required-version" not in PYPROJECT["tool"]["ruff"]
    assert "ruff" not in pins()
    assert "ruff" not in {requirement.name for requirement in required()}


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_public_name_is_documented(name):
    listed = re.findall(r"^   (\w+)$", (ROOT / "doc" / "api.rst").read_text(), re.M)
    assert name in listed


def documented_defaults(docstring):
    """Return {parameter: text of its default, or None} from a numpydoc Parameters section."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", docstring, re.M | re.S)[
        1
    ]
    entries = re.findall(r"^(\w[\w, ]*) : (.*)$", section, re.M)
    defaults = {}
    for names, description in entries:
        found = re.search(r"default=(.+)$", description)
        defaults |= dict.fromkeys(names.split(", "), found and found[1])
    return defaults


def signature_defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.name != "self"}


def same_default(text, default):
    if default is inspect.Parameter.empty:
        return text is None
    try:
        value = ast.literal_eval(text)
    except (TypeError, ValueError, SyntaxError):
        return text == repr(default)
    return type(value) is type(default) and value == default


@pytest.mark.parametrize("public_class", PUBLIC_CLASSES, ids=lambda c: c.__name__)
def test_documented_defaults_are_the_real_ones(public_class):
    documented = documented_defaults(inspect.getdoc(public_class))
    real = signature_defaults(public_class)
    assert list(documented) == list(real)
    wrong = {n: (documented[n], real[n]) for n in real if not same_default(documented[n], real[n])}
    assert not wrong


def test_a_wrong_documented_default_is_found():
    docstring = (
        "A class.\n\nParameters\n----------\na : int, default=1\n    One.\nb : str\n    Two.\n"
    )
    assert documented_defaults(docstring) == {"a": "1", "b": None}
    assert same_default("1", 1)
    assert not same_default("1", 2)
    assert not same_default("1", True)
    assert not same_default(None, 1)
    assert not same_default("1", inspect.Parameter.empty)
