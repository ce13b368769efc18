"""Inputs that are damaged or forged: a sound file or one clear error, nothing executed, nothing written elsewhere."""

import ast
import copy
import io
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nntrack import config
from nntrack.data.datasets import DATASETS
from nntrack.face_model import basel
from nntrack.readers import _parallel, conversion, opentrack_h5
from nntrack.readers._format import Options, decode
from nntrack.readers.archive import Damaged, copy_member, list_zip, read_member
from tests import archives, hostile
from tests.test_house import CODE, ROOT, relative

FORGED = 1000  # archives per reader ...
TOGETHER = 500  # ... of which so many by one process


def convert(dataset, archive, out, **others):
    given = {"source": "real", "max_bad_share": 0.999, "progress": False, **others}
    return conversion.convert(dataset, archive, out, Options(workers=1), **given)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, FORGED, TOGETHER))
@pytest.mark.parametrize("dataset", sorted(DATASETS))
def test_a_forged_archive_gives_a_sound_file_or_one_clear_error(dataset, first, tmp_path):
    command = [sys.executable, "-m", "tests.hostile", dataset, str(first), str(first + TOGETHER), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    ended = f"{dataset}, {(tmp_path / 'at').read_text()} ends the process" if done.returncode else ""
    assert not done.stdout + ended, done.stderr[-2000:]


class TestZips:
    def zip_of(self, path, name, data, compression=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(path, "w", compression) as file:
            file.writestr(name, data)
        return next(iter(list_zip(path)))

    @pytest.mark.parametrize("lie", [0, 100, 1 << 20])
    def test_a_member_gives_no_more_than_it_claims(self, lie, tmp_path):
        honest = self.zip_of(tmp_path / "a.zip", "x", bytes(200 << 20))
        member = honest._replace(size=lie)
        with open(tmp_path / "a.zip", "rb") as stream:
            with pytest.raises(Damaged, match=r"a.zip: x is damaged"):
                read_member(stream, member)
            target = io.BytesIO()
            with pytest.raises(Damaged, match=r"a.zip: x is damaged"):
                copy_member(stream, member, target)
            assert len(target.getvalue()) <= lie + 1

    def test_a_bomb_is_refused_before_it_is_unpacked(self, tmp_path):
        member = self.zip_of(tmp_path / "a.zip", "x", bytes(200 << 20))
        with open(tmp_path / "a.zip", "rb") as stream:
            with pytest.raises(Damaged, match="claims 209715200 bytes, and 67108864 is the most"):
                read_member(stream, member)
            with pytest.raises(Damaged, match="claims to unpack to 209715200 bytes from"):
                copy_member(stream, member, io.BytesIO())

    @pytest.mark.parametrize("field", ["offset", "packed", "size"])
    def test_numbers_of_64_bits_are_no_trap(self, field, tmp_path):
        member = self.zip_of(tmp_path / "a.zip", "x", b"1" * 99)._replace(**{field: (1 << 64) - 1})
        wide = b"\1\0\x18\0" + b"".join(n.to_bytes(8, "little") for n in (member.size, member.packed, member.offset))
        head = bytearray(46)
        head[:4], head[20:28], head[42:46] = b"PK\1\2", b"\xff" * 8, b"\xff" * 4
        head[10], head[28], head[30] = 8, 1, len(wide)
        directory = bytes(head) + b"x" + wide
        old = (tmp_path / "a.zip").read_bytes()
        start = old.index(b"PK\1\2")
        end = b"PK\5\6" + bytes(4) + b"\1\0\1\0" + len(directory).to_bytes(4, "little") + start.to_bytes(4, "little")
        (tmp_path / "a.zip").write_bytes(old[:start] + directory + end + b"\0\0")
        with pytest.raises(ValueError, match=r"a\.zip"), open(tmp_path / "a.zip", "rb") as stream:
            read_member(stream, next(iter(list_zip(tmp_path / "a.zip"))))

    @pytest.mark.parametrize("extra", [b"\1\0\x18\0", b"\1\0\xff\xff1234567", b"\1", b"\2\0\xff\xff"])
    def test_an_extra_field_that_is_cut_short_is_no_trap(self, extra, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
            member = zipfile.ZipInfo("x")
            member.extra = b"abcd" + bytes(len(extra) - 4) if len(extra) > 4 else b"abcd"[: len(extra)]
            file.writestr(member, b"1")
        data = (tmp_path / "a.zip").read_bytes()
        at = data.index(b"PK\1\2")
        directory = bytearray(data[at:]).replace(member.extra, extra)
        directory[20:28] = b"\xff" * 8
        (tmp_path / "a.zip").write_bytes(data[:at] + directory)
        with pytest.raises(ValueError, match=r"a\.zip"):
            list(list_zip(tmp_path / "a.zip"))

    def test_a_name_stays_in_its_line(self, tmp_path):
        assert self.zip_of(tmp_path / "a.zip", "a\nb\x1b[31m", b"").name == "a\ufffdb\ufffd[31m"


CLIMBING = ["../{}", "../../../../{}", "/{}", "C:\\{}", "C:/{}", "..\\{}", "//host/{}", "a/../../{}"]


@pytest.mark.parametrize("dataset", [d for d in sorted(DATASETS) if d != "opentrack_h5"])
def test_names_that_climb_out_write_nothing_outside(dataset, tmp_path):
    """Every member is there again under names that lead out of any folder; the outcome is what it would be without."""
    folder, out = tmp_path / "a" / "b" / "in", tmp_path / "a" / "b" / "out"
    plain = archives.make(dataset, folder)
    convert(dataset, plain, out / "plain.h5")
    for path in [plain] if plain.is_file() else sorted(plain.rglob("*.zip")):
        with zipfile.ZipFile(path) as file:
            rows = [(name, file.read(name)) for name in file.namelist()]
        rows += [(form.format(f"planted/{name.rpartition('/')[2]}"), data) for name, data in rows for form in CLIMBING]
        path.write_bytes(hostile.pack(rows))
    before = {*tmp_path.rglob("*")}
    try:
        convert(dataset, plain, out / "x.h5")
    except ValueError as error:
        assert "planted" in str(error)
    assert {*tmp_path.rglob("*")} - before <= {out / "x.h5"}
    assert not Path("/planted").exists() and not Path("planted").exists()


@pytest.mark.parametrize("dataset", [d for d in sorted(DATASETS) if d != "opentrack_h5"])
def test_members_that_are_there_twice_are_one(dataset, tmp_path):
    plain = archives.make(dataset, tmp_path / "in")
    kept = convert(dataset, plain, tmp_path / "one.h5").kept
    for path in [plain] if plain.is_file() else sorted(plain.rglob("*.zip")):
        with zipfile.ZipFile(path) as file:
            rows = [(name, file.read(name)) for name in file.namelist()]
        path.write_bytes(hostile.pack(rows + rows))
    assert convert(dataset, plain, tmp_path / "two.h5").kept == kept


@pytest.mark.parametrize("dataset", sorted(DATASETS))
@pytest.mark.parametrize("other", sorted(DATASETS))
def test_the_archive_of_another_dataset_under_its_name_is_refused(dataset, other, tmp_path):
    if dataset == other:
        pytest.skip("that is its own")
    expected, given = archives.make(dataset, tmp_path / "a"), archives.make(other, tmp_path / "b")
    name = given.rename(tmp_path / expected.name)
    with pytest.raises((ValueError, OSError), match=expected.name.replace(".", r"\.")) as caught:
        convert(dataset, name, tmp_path / "out" / "x.h5")
    assert "\n" not in str(caught.value) and not list((tmp_path / "out").glob("*"))


class TestBombs:
    def video(self, tmp_path, shape, order):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
            for name, value in archives.video(np.random.default_rng(0), shape[3]).items():
                part = io.BytesIO()
                np.lib.format.write_array(part, value)
                file.writestr(f"{name}.npy", part.getvalue())
            # a second one of the name is the one that counts
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": order, "shape": shape})
            with pytest.warns(UserWarning, match="Duplicate"):
                file.writestr("colorImages.npy", head.getvalue() + bytes(1 << 22))
        return archives.ytfaces(tmp_path / "YTFaces", {"one": stream.getvalue()}, {"one": "Ann"})

    @pytest.mark.parametrize("order", [False, True])
    @pytest.mark.parametrize("shape", [(20_000, 20_000, 3, 8), (1 << 12, 1 << 12, 3, 64), (1, 1, 3, 1 << 40)])
    def test_pictures_of_a_video_that_are_not_there_are_not_made_room_for(self, shape, order, tmp_path):
        if shape[3] > 1 << 12:
            stream = io.BytesIO()
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": order, "shape": shape})
            with zipfile.ZipFile(stream, "w") as file:
                file.writestr("colorImages.npy", head.getvalue())
            archive = archives.ytfaces(tmp_path / "YTFaces", {"one": stream.getvalue()}, {"one": "Ann"})
        else:
            archive = self.video(tmp_path, shape, order)
        with pytest.raises(ValueError, match="colorImages claims to be"):
            convert("ytfaces", archive, tmp_path / "x.h5", max_bad_share=0)

    def test_a_picture_that_claims_too_many_px_is_not_decoded(self):
        rng = np.random.default_rng(0)
        for data, form, at in ((archives.png(rng), "IHDR", 4), (archives.jpeg(rng), "\xff\xc0", 5)):
            huge = bytearray(data)
            at += data.index(form.encode("latin1"))
            huge[at : at + 8 if form == "IHDR" else at + 4] = b"\0\0\x7f\xff" * 2 if form == "IHDR" else b"\x7f\xff" * 2
            with pytest.raises(Damaged, match=r"p claims 1073676289 px, and 67108864 is the most"):
                decode(bytes(huge), "p")
            padded = data[:2] + b"junk\0" + bytes(huge[2:]) if form != "IHDR" else bytes(huge)
            with pytest.raises(Damaged, match=r"p claims 1073676289 px"):
                decode(padded, "p")

    def test_other_kinds_of_pictures_are_not_decoded(self):
        for kind in (".bmp", ".tiff", ".webp", ".pgm"):
            data = cv2.imencode(kind, np.zeros((9, 9), np.uint8))[1].tobytes()
            with pytest.raises(Damaged, match="p cannot be decoded: it is neither JPEG nor PNG"):
                decode(data, "p")


def _hang(*_):
    time.sleep(60)


def _crash(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(*_):
    raise ZeroDivisionError


class TestRehearsal:
    @pytest.mark.parametrize(
        ("work", "ending"), [(_hang, "has not come to an end in 1 s"), (_crash, "crashes (exit code -9)"), (_raise, "")]
    )
    def test_says_how_it_ends(self, work, ending):
        seconds = 1 if work is _hang else 60
        assert _parallel.rehearse(work, seconds=seconds) == ending

    def test_a_file_that_hangs_the_library_is_one_error(self, tmp_path, monkeypatch):
        monkeypatch.setattr(opentrack_h5, "rehearse", lambda *_, **__: "has not come to an end in 60 s")
        path = archives.make("opentrack_h5", tmp_path)
        with pytest.raises(ValueError, match=r"wflw\.h5 is not a complete HDF5 file: what reads it has not come to"):
            convert("opentrack_h5", path, tmp_path / "x.h5")


class TestPickles:
    """A pickle in place of the Basel model runs nothing, whatever its protocol and whomever it calls."""

    CALLS = ("os.system", "posix.system", "builtins.exec", "builtins.eval", "subprocess.call", "numpy.fromfile",
             "builtins.open", "numpy.f2py.compile", "numpy.testing.runstring", "numpy.lib.npyio.load")  # fmt: skip

    @pytest.mark.parametrize("protocol", [0, 2, 4])
    @pytest.mark.parametrize("name", CALLS)
    def test_nothing_runs(self, name, protocol, tmp_path):
        mark = tmp_path / "ran"
        module, _, function = name.rpartition(".")
        argument = {"exec": f"open({str(mark)!r}, 'w')", "eval": f"open({str(mark)!r}, 'w')", "open": str(mark)}
        text = argument.get(function, f"touch {mark}").encode()
        if protocol < 4:
            ask = b"c" + module.encode() + b"\n" + function.encode() + b"\n"
        else:
            ask = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, function)) + b"\x93"
        string = b"X" + len(text).to_bytes(4, "little") + text
        mode = b"X\1\0\0\0w" if function == "open" else b""
        data = (b"\x80" + bytes([protocol]) if protocol else b"") + ask + b"(" + string + mode + b"tR."
        (tmp_path / basel.FILE_NAME).write_bytes(data)
        archive = archives.w300lp(np.random.default_rng(0)).write(tmp_path / "w.zip")
        with pytest.raises(ValueError, match=rf"{basel.FILE_NAME} is not the Basel model.*only NumPy arrays"):
            convert("300wlp", archive, tmp_path / "x.h5")
        assert not mark.exists()

    def test_these_pickles_do_run_elsewhere(self, tmp_path):
        mark = tmp_path / "ran"
        pickle.loads(
            b"cos\nsystem\n(X" + len(f"touch {mark}").to_bytes(4, "little") + f"touch {mark}".encode() + b"tR."
        )
        assert mark.exists()

    def test_a_model_of_another_size_is_refused(self, tmp_path):
        model = archives.basel_model()
        (tmp_path / basel.FILE_NAME).write_bytes(pickle.dumps(model | {"w_exp": model["w_exp"][:, :10]}))
        with pytest.raises(ValueError, match=r"expected \(199, 29\) weights of shape and expression, got \(199, 10\)"):
            basel.load(tmp_path / basel.FILE_NAME)


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
        assert message is None or key in message
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
