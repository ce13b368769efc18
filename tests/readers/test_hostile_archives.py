"""Archives that are damaged or forged: a sound file or one clear error, nothing written elsewhere."""

import io
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from nntrack.data.datasets import DATASETS
from nntrack.readers import conversion
from nntrack.readers._format import Options, decode
from nntrack.readers.members import Damaged
from tests import archives, hostile
from tests.conftest import ROOT

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

    def test_an_image_that_claims_too_many_px_is_not_decoded(self, rng):
        png, jpeg = bytearray(archives.png(rng)), bytearray(archives.jpeg(rng))
        png[16:24] = b"\0\0\x7f\xff" * 2
        png[29:33] = zlib.crc32(png[12:29]).to_bytes(4)
        at = jpeg.index(b"\xff\xc0") + 5
        jpeg[at : at + 4] = b"\x7f\xff" * 2
        for huge in (png, jpeg):
            with pytest.raises(Damaged, match=r"p claims 1073676289 px, and 67108864 is the most"):
                decode(bytes(huge), "p")

    def test_other_kinds_of_images_are_not_decoded(self):
        for kind in (".bmp", ".tiff", ".webp", ".pgm"):
            data = cv2.imencode(kind, np.zeros((9, 9), np.uint8))[1].tobytes()
            with pytest.raises(Damaged, match="p cannot be decoded: it is neither JPEG nor PNG"):
                decode(data, "p")
