"""No code executes what a file holds; parameters that are damaged or odd are valid or one clear line."""

import ast
import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nntrack import config
from tests import hostile
from tests.conftest import ROOT
from tests.test_house import CODE, relative


def calls(path):
    """(dotted name, the call) of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(node, name):
    return next((ast.unparse(k.value) for k in node.keywords if k.arg == name), None)


@pytest.mark.parametrize("path", CODE, ids=relative)
def test_no_code_executes_what_a_file_holds(path):
    for name, node in calls(path):
        where, last = f"{relative(path)}:{node.lineno}: {name}", name.rpartition(".")[2]
        assert name not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"), where
        assert not name.startswith(("subprocess.", "os.exec", "os.spawn", "marshal.", "shelve.")), where
        assert keyword(node, "shell") is None, where
        assert not (last == "load" and name.startswith("torch.")) or keyword(node, "weights_only") == "True", where
        assert name != "np.load" or keyword(node, "allow_pickle") == "False", where
        assert name != "loadmat" or keyword(node, "variable_names") is not None, where
        assert not name.startswith("yaml."), where
        assert name != "YAML" or keyword(node, "typ") == "'safe'", where
        assert not name.startswith(("pickle.load", "pickle.Unpickler", "joblib.", "np.fromfile")), where
    imported = {ast.unparse(n) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import)}
    assert "import pickle" not in imported or path.name == "basel.py"


PARAMS = config.read_yaml(ROOT / "params.yaml")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates() | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


def places(values, above=()):
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from places(value, (*above, key))


def finite(values):
    """Whether all numbers in nested values are."""
    if isinstance(values, dict):
        return all(map(finite, values.values()))
    return not isinstance(values, float) or np.isfinite(values)


def check(load, origin):
    """None if the parameters are valid, else the one line that says what is wrong."""
    try:
        params = load()
    except ValueError as error:
        text = str(error)
        assert type(error) is ValueError and text.startswith(str(origin)) and text.isprintable() and len(text) < 100_000
        return text
    assert finite(params.model_dump())
    return None


class TestParams:
    @settings(max_examples=1000, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(places(PARAMS))), st.sampled_from(["value", "added", "left out"]), VALUES)
    def test_a_changed_value_is_valid_or_its_key_is_named(self, where, how, value):
        section = values = copy.deepcopy(PARAMS)
        for key in where[:-1]:
            section = section[key]
        if how == "left out":
            del section[where[-1]]
        else:
            section[where[-1] if how == "value" else "no\nword"] = value
        message = check(lambda: config.parse(values, "p.yaml"), "p.yaml")
        key = ".".join(where if how != "added" else (*where[:-1], repr("no\nword")))
        together = "synthesize.heads: one of" in (message or "")  # said of both weights
        assert message is None or key in message or together
        # losses and datasets, and whatever is said of the latter, may be named or not
        free = where[-2:-1] in (("losses",), ("sampling",), ("convert",)) or where[:-2] == ("convert",)
        assert how == "value" or message or free

    @settings(max_examples=1000, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 32))
    def test_damaged_bytes_are_valid_or_one_line(self, tmp_path, seed):
        data = hostile.damage(np.random.default_rng(seed), (ROOT / "params.yaml").read_bytes())
        (tmp_path / "p.yaml").write_bytes(data)
        check(lambda: config.load(tmp_path / "p.yaml"), tmp_path)

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 5000, "- " * 5000, "seed: 2001-99-99", "seed: " + "9" * 9999, "a: &a [*a]", "? {a: 1}\n: 2", "\0",
            "seed: !!python/object/apply:os.system ['true']", "seed: !!binary x", "seed: !!timestamp x",
            "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{f'*a{i - 1},' * 9}]\n" for i in range(1, 20)),
        ],
    )  # fmt: skip
    def test_yaml_that_is_a_trap_is_one_line(self, text, tmp_path):
        (tmp_path / "p.yaml").write_text(text)
        assert check(lambda: config.load(tmp_path / "p.yaml"), tmp_path)
