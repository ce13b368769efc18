"""Archives that are damaged or forged, of every kind, and what becomes of them.

``python -m tests.hostile DATASET FIRST STOP FOLDER`` converts the archives FIRST to STOP - 1, each made of its number
alone, and prints a line for each whose outcome is neither a sound file nor one clear error. One that hangs or needs too
much memory ends the process; its number is the last one in FOLDER/at.
"""

import faulthandler
import io
import pickle
import re
import resource
import shutil
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat, savemat

from nntrack.data.hdf5 import Stored
from nntrack.face_model import basel
from nntrack.readers import conversion
from nntrack.readers._format import Options
from tests import archives

SECONDS = 60  # one archive may take; it takes some hundredths
MEMORY = 4 << 30  # bytes of addresses
_NUMBERS = ["nan", "inf", "-inf", "1e308", "-1e308", "1e39", "1e-320", "-1", "0", "1e9", "99999999999999999999", "1e18"]
_WORDS = [*_NUMBERS, "", "x", "\x00", '"', "\n", "\r", "ä", "0x10", "1_000", "٣", " ", ",", "../x", "9" * 5000]
_FIELDS = [0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]

Rng = np.random.Generator
Files = dict[str, "bytes | dict[str, bytes]"]  # name in the folder -> bytes, or the members of a zip


def source(dataset: str, folder: Path) -> Files:
    """A sound archive with few samples, in parts."""
    rng = np.random.default_rng(7)
    match dataset:
        case "aflw2k":
            return {"A.zip": archives.aflw2k(rng, 2).contents}
        case "w300lp":
            model = pickle.dumps(archives.basel_model())
            return {"A.zip": archives.w300lp(rng, ["AFW/AFW_1_2"]).contents, basel.FILE_NAME: model}
        case "ytfaces":
            videos = {name: archives.video(rng, 4, 60, 80) for name in ("one", "two")}
            archives.ytfaces(folder, videos, {"one": "Ann", "two": "Bea"}, unpacked=["two"])
        case "widerface":
            lists = {subset: rows[:2] for subset, rows in archives.WIDER_LISTS.items()}
            archives.widerface(rng, folder, lists)
        case "biwi":
            archives.biwi(rng, ["01"], 2).write(folder / "hpdb.zip")
            archives.biwi_boxes(folder, ["1,3,200,100,300,223", "1,4,200,100,300,224"])
        case "opentrack_h5":
            archives.opentrack_h5(rng, folder / "A.h5", 3)
        case _:
            made = archives.make(dataset, folder)
            if made.is_dir():
                return _parts(made)
            made.rename(folder / f"A{made.suffix}")
    return _parts(folder)


def _parts(folder: Path) -> Files:
    parts: Files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        parts[name] = path.read_bytes()
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as file:
                parts[name] = {member: file.read(member) for member in file.namelist()}
    return parts


def pack(members: list[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as file:
        warnings.simplefilter("ignore")  # some names are there twice
        for i, (name, data) in enumerate(members):
            file.writestr(name, data, zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED)
    return stream.getvalue()


def forge(rng: Rng, sound: Files) -> dict[str, bytes]:
    """One thing, or a few of them, done to one file of an archive."""
    names = sorted(sound)
    chosen = names[rng.integers(len(names))]
    left_out = names[rng.integers(len(names))] if rng.random() < 0.3 else chosen
    sound = {name: part for name, part in sound.items() if name == chosen or name != left_out}
    files = {name: pack(list(part.items())) if isinstance(part, dict) else part for name, part in sound.items()}
    part = sound[chosen]
    files[chosen] = _forge_zip(rng, part) if isinstance(part, dict) else _forge_file(rng, chosen, part)
    return files


def _forge_zip(rng: Rng, members: dict[str, bytes]) -> bytes:
    rows = list(members.items())
    deed = rng.integers(10)
    if deed == 0:
        return damage(rng, pack(rows))
    if deed in (1, 2):
        return _forge_directory(rng, pack(rows))
    i, j = rng.integers(len(rows), size=2)
    if deed == 3:  # under each other's names
        rows[i], rows[j] = (rows[i][0], rows[j][1]), (rows[j][0], rows[i][1])
    elif deed == 4:
        rows.insert(j, (rows[i][0], damage(rng, rows[i][1])))
    elif deed == 5:
        words = ["../", "/", "C:\\", "a\nb", "", "é", rows[j][0], "x" * 300]
        name = rows[i][0]
        at = rng.integers(len(name) + 1)
        rows[i] = name[:at] + words[rng.integers(len(words))] + name[at:], rows[i][1]
    else:
        rows[i] = rows[i][0], _forge_file(rng, *rows[i])
    return pack(rows)


def _forge_file(rng: Rng, name: str, data: bytes) -> bytes:
    ways: dict[str, Callable[[Rng, bytes], bytes]] = {
        ".mat": _forge_mat, ".npz": _forge_npz, ".csv": _forge_text, ".txt": _forge_text, ".cal": _forge_text,
        ".jpg": _forge_jpeg, ".png": _forge_png, ".h5": _forge_h5,
    }  # fmt: skip
    way = ways.get(Path(name).suffix, damage)
    # HDF5's own directory is left alone: its library trusts it, and ends the process
    return (damage if rng.random() < 0.3 and way is not _forge_h5 else way)(rng, data)


def damage(rng: Rng, data: bytes) -> bytes:
    """Bits flipped, bytes cut off, taken out, put in, repeated or zeroed."""
    result = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        size = len(result)
        # what is at either end counts for more
        near = [rng.integers(size + 1), min(size, rng.integers(512)), max(0, size - rng.integers(512))]
        at, length = int(near[rng.integers(3)]), int(2 ** rng.uniform(0, 12))
        block = bytes(result[at : at + length])
        match rng.integers(7):
            case 0 if at < size:
                result[at] ^= 1 << rng.integers(8)
            case 1 if at < size:
                result[at] = rng.integers(256)
            case 2:
                del result[at:]
            case 3:
                del result[at : at + length]
            case 4:
                result[at:at] = rng.bytes(length)
            case 5:
                result[at:at] = block
            case _:
                result[at : at + length] = bytes([rng.choice([0, 255])]) * len(block)
    return bytes(result)


def _forge_directory(rng: Rng, data: bytes) -> bytes:
    """Numbers in a zip's own records: sizes, offsets, checksums, methods, lengths."""
    result = bytearray(data)
    heads = [(m.start(), m.group()) for m in re.finditer(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)", data)]
    for _ in range(rng.integers(1, 3)):
        at, head = heads[rng.integers(len(heads))]
        length = {b"PK\1\2": 46, b"PK\3\4": 30, b"PK\5\6": 22}[head]
        width = int(rng.choice([1, 2, 4]))
        place = at + int(rng.integers(4, length - width + 1))
        value = _FIELDS[rng.integers(len(_FIELDS))] if rng.random() < 0.8 else int(rng.integers(1 << 32))
        result[place : place + width] = struct.pack("<I", value)[:width]
    return bytes(result)


def _forge_text(rng: Rng, data: bytes) -> bytes:
    words = re.split(r"([\s,]+)", data.decode())
    for _ in range(rng.integers(1, 4)):
        words[rng.integers(len(words))] = _WORDS[rng.integers(len(_WORDS))]
    return "".join(words).encode()


def _forge_array(rng: Rng, values: np.ndarray) -> np.ndarray:
    """Another number, kind or shape."""
    values = np.array(values)
    match rng.integers(8):
        case 0:
            return values.ravel()
        case 1:
            return values[..., : values.shape[-1] // 2]
        case 2:
            return values.astype([np.float16, np.uint8, np.complex128, np.int64, bool][rng.integers(5)])
        case 3:
            return np.array("text")
        case 4:
            return np.zeros((0, *values.shape[1:]), values.dtype)
    values = values.astype(np.float64) if values.size < 1e5 and rng.random() < 0.9 else values
    number = float(_NUMBERS[rng.integers(len(_NUMBERS))])
    if values.dtype.kind == "f":
        flat = values.reshape(-1)
        most = float(np.finfo(values.dtype).max)
        number = max(-most, min(most, number)) if np.isfinite(number) else number
        flat[rng.integers(values.size, size=int(rng.choice([1, values.size])))] = number
    return values


def _forge_mat(rng: Rng, data: bytes) -> bytes:
    if not data.startswith(b"MATLAB"):
        return damage(rng, data)
    arrays = {key: value for key, value in loadmat(io.BytesIO(data)).items() if not key.startswith("__")}
    key = list(arrays)[rng.integers(len(arrays))]
    match rng.integers(8):
        case 0:
            del arrays[key]
        case 1:
            arrays[key] = {"a": arrays[key]}
        case 2:
            arrays[key] = np.array([arrays[key], "x"], object)
        case _:
            arrays[key] = _forge_array(rng, arrays[key])
    stream = io.BytesIO()
    savemat(stream, arrays)
    return stream.getvalue()


def _forge_npz(rng: Rng, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        rows = {name: file.read(name) for name in file.namelist()}
    name = ["colorImages.npy", "landmarks3D.npy"][rng.integers(2)]
    match rng.integers(6):
        case 0:
            del rows[name]
        case 1:
            rows[name] = damage(rng, rows[name])
        case 2:  # what the array says of itself
            head = rows[name][:128].decode("latin1")
            found = list(re.finditer(r"\d+|True|False|'[^']*'|[(){},]", head[10:]))
            match = found[rng.integers(len(found))]
            words = [
                "-1",
                "0",
                "99999999999999999999",
                "65536",
                "'|O'",
                "'<f8'",
                "'V9'",
                "(",
                "{",
                "'x'",
                "None",
                "9e9",
            ]
            word = words[rng.integers(len(words))]
            rows[name] = (head[: 10 + match.start()] + word + head[10 + match.end() :]).encode("latin1") + rows[name][
                128:
            ]
        case 3:
            return _forge_directory(rng, data)
        case _:
            stream = io.BytesIO()
            np.lib.format.write_array(stream, _forge_array(rng, np.load(io.BytesIO(rows[name]))))
            rows[name] = stream.getvalue()
    return pack(list(rows.items()))


def _forge_jpeg(rng: Rng, data: bytes) -> bytes:
    """What the picture says of itself: its size, kinds of segments, their lengths."""
    result = bytearray(data)
    frame = re.search(rb"\xff[\xc0-\xc2]", data)
    if frame and rng.random() < 0.5:
        at = frame.start() + int(rng.choice([5, 7]))
        result[at : at + 2] = struct.pack(">H", int(rng.choice([0, 1, 7, 2000, 32000, 65500, 65535])))
    else:
        result[rng.integers(min(620, len(result)))] = rng.integers(256)
    return bytes(result)


def _forge_png(rng: Rng, data: bytes) -> bytes:
    """Fields of the header, its checksum made good."""
    at = int(rng.choice([16, 20, 24, 25, 26, 27, 28]))
    field = struct.pack(">I", int(rng.choice([0, 1, 3, 6, 7, 16, 32000, 1 << 20, (1 << 31) - 1, (1 << 32) - 1])))
    head = data[12:at] + (field if at < 24 else field[3:]) + data[at + (4 if at < 24 else 1) : 29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


def _forge_h5(rng: Rng, data: bytes) -> bytes:
    """Other numbers, kinds and shapes of arrays; or an end cut off."""
    if rng.random() < 0.1:
        return data[: rng.integers(len(data))]
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        name = ["quats", "coords", "rois", "pt3d_68", "sequence_starts", "images"][rng.integers(6)]
        if name == "images":
            row = rng.integers(len(file[name]))
            picture = _forge_jpeg if rng.random() < 0.6 else damage
            file[name][row] = np.frombuffer(picture(rng, file[name][row].tobytes()), np.uint8)
        else:
            value = _forge_array(rng, file[name][:])
            del file[name]
            if rng.random() < 0.9:
                file[name] = value if value.dtype.kind != "U" else "text"
    return stream.getvalue()


def outcome(dataset: str, files: dict[str, bytes], folder: Path) -> str | None:
    """What is wrong with the outcome of a conversion; None if it is a sound file or one clear error."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / "in" / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    archive, out = folder / "in" / "archive", folder / "out" / "x.h5"
    archive /= next((name for name in files if name.startswith("A.")), "")
    before = sorted(folder.rglob("*"))
    try:
        conversion.convert(
            dataset, archive, out, Options(workers=1), source="real", max_bad_share=0.999, progress=False
        )
    except (ValueError, OSError) as error:
        if str(folder / "in" / "archive") not in str(error) or "\n" in str(error):
            return f"an error that does not name the archive in one line: {error!r}"
        left = sorted({*folder.rglob("*")} - {*before, out.parent})
        return f"left behind by a failure: {left}" if left else None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    made = sorted({*folder.rglob("*")} - {*before})
    if made != [out.parent, out]:
        return f"made: {made}"
    stored = Stored(out)
    sound = len(stored) and all(np.isfinite(value).all() for value in stored.labels.values())
    return None if sound else "the file holds labels that are not finite, or no sample"


def main(dataset: str, first: int, stop: int, folder: Path) -> None:
    """Convert some archives and print what is wrong."""
    warnings.simplefilter("error")
    sound = source(dataset, folder / "sound")
    if problem := outcome(
        dataset, {n: pack(list(p.items())) if isinstance(p, dict) else p for n, p in sound.items()}, folder / "now"
    ):
        print(f"{dataset}, sound: {problem}")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(first, stop):
        (folder / "at").write_text(str(number))
        files = forge(np.random.default_rng([number, zlib.crc32(dataset.encode())]), sound)
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        problem = outcome(dataset, files, folder / "now")
        faulthandler.cancel_dump_traceback_later()
        if problem:
            print(f"{dataset}, {number}: {problem}", flush=True)


if __name__ == "__main__":
    faulthandler.enable()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
