import pickle

import pytest

from nntrack.face_model import basel
from tests import archives


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
        with pytest.raises(ValueError, match=rf"{basel.FILE_NAME} is not the Basel model.*only NumPy arrays"):
            basel.load_beside(tmp_path / "w.zip")
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
