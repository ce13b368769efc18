"""Tiny archives in the originals' layout, for the tests of readers and conversion."""

import io
import zipfile
from pathlib import Path

import cv2
import h5py
import numpy as np
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from nntrack.face_model import basel
from nntrack.geometry.neutral_face import NEUTRAL_LANDMARKS

SIDE = 450


class Archive:
    """A zip that is written member by member; ``contents`` may be changed before `write`."""

    def __init__(self):
        self.contents: dict[str, bytes] = {}

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for i, (name, data) in enumerate(self.contents.items()):
                member = zipfile.ZipInfo(name, (2016, 1, 1, 0, 0, 0))
                member.compress_type = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
                member.external_attr = 0x20 if i % 3 else 0o644 << 16  # both kinds of zip are about
                file.writestr(member, data)
        return path


def jpeg(rng, height=SIDE, width=SIDE) -> bytes:
    small = rng.integers(0, 256, (12, 16), dtype=np.uint8)
    picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def png(rng, height=480, width=640) -> bytes:
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.imencode(".png", cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))[1].tobytes()


def mat(**arrays) -> bytes:
    stream = io.BytesIO()
    savemat(stream, arrays)
    return stream.getvalue()


def pose(rng, angle=0.5) -> np.ndarray:
    """(1, 7) float32: pitch, yaw, roll, tx, ty, tz, scale."""
    angles = rng.uniform(-angle, angle, 3)
    return np.array([[*angles, *rng.uniform(200, 250, 2), -80, rng.uniform(1.1e-3, 1.4e-3)]], np.float32)


def project(para, points=NEUTRAL_LANDMARKS) -> np.ndarray:
    """(68, 3) as MATLAB has it: 1-based px, y down, z toward the viewer. Not written with the reader's code."""
    pitch, yaw, roll, tx, ty, _, scale = np.float64(para).ravel()
    turn = Rotation.from_euler("XYZ", [-pitch, yaw, roll])
    radius = scale * 1e5 * SIDE / 448
    posed = turn.apply(points) * radius
    centre = np.array([tx, SIDE - ty]) + turn.apply([0, -0.26, -0.9])[:2] * radius
    return np.column_stack([posed[:, :2] + centre + 0.5, -posed[:, 2] + 30])


def coefficients(rng, kind=np.float64) -> dict[str, np.ndarray]:
    return {
        "Shape_Para": rng.normal(size=(199, 1)).astype(kind),
        "Exp_Para": rng.integers(0, 2, (29, 1)).astype(np.uint8 if kind is np.float64 else kind),
    }


def aflw2k(rng, count=3) -> Archive:
    archive = Archive()
    archive.contents["AFLW2000/Code/Model_Shape.mat"] = b"no sample"
    archive.contents["AFLW2000/Code/Mex/photo.jpg"] = b"no sample either"
    for i in range(count):
        para = pose(rng)
        points = project(para).T.astype(np.float32)
        name = f"AFLW2000/image{i + 2:05d}"
        archive.contents[f"{name}.jpg"] = jpeg(rng)
        archive.contents[f"{name}.mat"] = mat(
            Pose_Para=para, pt3d_68=points, pt2d=np.full((2, 21), -1.0), roi=np.int16([[-5, 3, 460, 470]]),
            **coefficients(rng),
        )  # fmt: skip
    return archive


def w300lp(rng, photos=("AFW/AFW_1_2", "IBUG/IBUG_image_092 _01"), views=2, landmarks=True) -> Archive:
    archive = Archive()
    archive.contents["300W_LP/Code/Model_Shape.mat"] = b"no sample"
    for photo in photos:
        subset, name = photo.split("/")
        original = None
        for k in range(views):
            para = pose(rng)
            points = project(para)[:, :2]
            original = points if original is None else original
            stem = f"{subset}/{name}_{k}"
            archive.contents[f"300W_LP/{stem}.jpg"] = jpeg(rng)
            # pt2d of a turned picture is still the photo's
            archive.contents[f"300W_LP/{stem}.mat"] = mat(Pose_Para=para, pt2d=original.T, **coefficients(rng))
            flip = mat(Pose_Para=pose(rng), pt2d=original.T, **coefficients(rng, np.float32))
            archive.contents[f"300W_LP/{subset}_Flip/{name}_{k}.jpg"] = jpeg(rng)
            archive.contents[f"300W_LP/{subset}_Flip/{name}_{k}.mat"] = flip
            if landmarks:
                archive.contents[f"300W_LP/landmarks/{stem}_pts.mat"] = mat(pts_2d=points + 1, pts_3d=points)
    return archive


def basel_model() -> dict[str, np.ndarray]:
    """A model in the pickle's layout, with some vertices more than landmarks; its weights change nothing but z."""
    rng = np.random.default_rng(9)
    vertices = np.zeros((80, 3))
    keypoints = rng.permutation(80)[:68]
    # to the model's axes and origin
    vertices[keypoints] = (NEUTRAL_LANDMARKS + np.array([0, -0.26, -0.9])) * [1, -1, -1] * basel.MICROMETRES
    rows = (keypoints[:, None] * 3 + np.arange(3)).ravel()
    shape, expression = np.zeros((240, 199)), np.zeros((240, 29))
    shape[2::3, 0], expression[2::3, 0] = 1e3, -1e3
    return {
        "u": vertices.reshape(-1, 1).astype(np.float32),
        "w_shp": shape.astype(np.float32),
        "w_exp": expression.astype(np.float32),
        "keypoints": rows,
    }


def npz(order="C", **arrays) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: np.asarray(value, order=order) for name, value in arrays.items()})
    return stream.getvalue()


def video(rng, frames=8, height=120, width=160) -> dict[str, np.ndarray]:
    """The arrays of one video: a head that turns slowly."""
    start, end = Rotation.from_euler("XYZ", rng.uniform(-0.3, 0.3, (2, 3)))
    points = []
    for t in np.linspace(0, 1, frames):
        turn = Rotation.from_rotvec((1 - t) * start.as_rotvec() + t * end.as_rotvec())
        points.append(turn.apply(NEUTRAL_LANDMARKS) * 40 + [80, 50, 7])
    points = np.stack(points, axis=-1)  # (68, 3, frames)
    images = rng.integers(0, 256, (height, width, 3, frames), dtype=np.uint8)
    boxes = np.zeros((4, 2, frames))
    return {"colorImages": images, "landmarks3D": points, "landmarks2D": points[:, :2], "boundingBox": boxes}


def ytfaces(folder: Path, videos: dict, persons: dict[str, str], unpacked=(), word="full", order="C") -> Path:
    """The folder of the Kaggle dataset; ids in ``unpacked`` lie in a doubled folder, the others in a zip."""
    stem = f"youtube_faces_with_keypoints_{word}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [",videoID,personName,imageHeight,imageWidth,videoDuration,averageFaceSize,numVideosForPerson"]
    lines += [f"{i},{name},{person},120,160,8.0,,1" for i, (name, person) in enumerate(persons.items())]
    (folder / f"{stem}.csv").write_text("\n".join(lines) + "\n")
    archive = Archive()
    for name, arrays in videos.items():
        data = arrays if isinstance(arrays, bytes) else npz(order, **arrays)
        if name in unpacked:
            path = folder / f"{stem}_2" / f"{stem}_2" / f"{name}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        else:
            archive.contents[f"{stem}_1/{name}.npz"] = data
    if archive.contents:
        archive.write(folder / f"{stem}_1.zip")
    return folder


WIDER_LISTS = {
    "train": [
        ("0--Parade/one.jpg", 1, ["200 150 60 80 0 0 0 0 0 0"]),
        ("0--Parade/two.jpg", 2, ["10 20 30 40 0 0 0 0 0 0", "90 20 30 40 0 0 0 0 0 0"]),
        ("0--Parade/none.jpg", 0, ["0 0 0 0 0 0 0 0 0 0"]),
        ("1--Handshaking/large.jpg", 1, ["100 50 400 400 0 0 0 0 0 0"]),
        ("1--Handshaking/invalid.jpg", 1, ["200 150 60 80 0 0 0 1 0 0"]),
        ("1--Handshaking/absent.jpg", 1, ["200 150 60 80 0 0 0 0 0 0"]),
        ("2--Demonstration/right.jpg", 1, ["560 300 80 90 0 0 0 0 0 0"]),
    ],
    "val": [
        ("0--Parade/v.jpg", 1, ["30 20 50 60 1 0 0 0 0 0"]),
        ("0--Parade/zero.jpg", 1, ["0 0 0 0 0 0 0 0 0 0"]),
        ("0--Parade/flat.jpg", 1, ["30 20 50 0 0 0 0 0 0 0"]),
    ],
}


def widerface(rng, folder: Path, lists=None) -> Path:
    split = Archive()
    for subset, rows in (lists or WIDER_LISTS).items():
        photos = Archive()
        for name, _, _ in rows:
            if "absent" not in name:
                photos.contents[f"WIDER_{subset}/images/{name}"] = jpeg(rng, 480, 640)
        photos.write(folder / f"WIDER_{subset}.zip")
        text = "".join(f"{name}\n{count}\n" + "".join(f"{box} \n" for box in boxes) for name, count, boxes in rows)
        split.contents[f"wider_face_split/wider_face_{subset}_bbx_gt.txt"] = text.encode()
    split.write(folder / "wider_face_split.zip")
    return folder


def numbers(*arrays) -> bytes:
    """Rows of numbers with a blank line between the arrays, a space at each line's end."""
    text = ["".join(" ".join(f"{v:.9g}" for v in row) + " \n" for row in np.atleast_2d(array)) for array in arrays]
    return "\n".join(text).encode()


def biwi_camera(turn=None, shift=(-24.0, 3.0, -8.0), focal=520.0, distortion=(0, 0, 0, 0)) -> bytes:
    turn = np.eye(3) if turn is None else turn.as_matrix()
    return numbers([[focal, 0, 321.5], [0, focal, 238], [0, 0, 1]], distortion, turn, shift, [640, 480])


def biwi(rng, persons=("01", "22"), frames=6, top="hpdb/") -> Archive:
    archive = Archive()
    for person in persons:
        archive.contents[f"{top}{person}/rgb.cal"] = biwi_camera()
        archive.contents[f"{top}{person}/depth.cal"] = b"no reader looks"
        archive.contents[f"{top}{person}.obj"] = b"a template"
        for frame in range(3, 3 + frames):
            turn = Rotation.from_rotvec(rng.uniform(-0.5, 0.5, 3))
            place = rng.uniform([-200, -150, 800], [200, 150, 1100])
            stem = f"{top}{person}/frame_{frame:05d}"
            archive.contents[f"{stem}_rgb.png"] = png(rng)
            archive.contents[f"{stem}_pose.txt"] = numbers(turn.as_matrix(), place)
            archive.contents[f"{stem}_depth.bin"] = b"no reader looks"
    return archive


def biwi_boxes(folder: Path, rows, columns="person,frame,x0,y0,x1,y1") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "biwi_boxes.csv").write_text("\n".join([columns, *rows]) + "\n")


def posed_faces(rng, count, size=200) -> dict[str, np.ndarray]:
    """Labels as opentrack's training code stores them, of pictures (size, size)."""
    turns = Rotation.from_rotvec(rng.uniform(-0.5, 0.5, (count, 3)))
    coords = np.column_stack([rng.uniform(0.45, 0.55, (count, 2)) * size, rng.uniform(0.22, 0.28, count) * size])
    points = np.stack([turn.apply(NEUTRAL_LANDMARKS) for turn in turns]) * coords[:, None, 2:]
    points[..., :2] += coords[:, None, :2]
    boxes = np.concatenate([points[..., :2].min(axis=1), points[..., :2].max(axis=1)], axis=1)
    return {"quats": turns.as_quat(), "coords": coords, "rois": boxes, "pt3d_68": points}


def opentrack_h5(rng, path: Path, count=40, leave=(), lossy=True, **others) -> Path:
    """A file as opentrack's training code writes it. others: arrays that take the place of what would be there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = posed_faces(rng, count)
    labels |= {"shapeparams": rng.normal(size=(count, 50)), "sequence_starts": np.array([0, count // 2, count])}
    categories = {"quats": "q", "coords": "xys", "rois": "roi", "pt3d_68": "pts", "shapeparams": ""}
    with h5py.File(path, "w") as file:
        images = others.pop("images", None)
        if images is None:
            pictures = [jpeg(rng, 200, 200) if lossy else png(rng, 200, 200) for _ in range(count)]
            images = file.create_dataset("images", (count,), h5py.vlen_dtype(np.uint8), maxshape=(None,), chunks=(8,))
            images[:] = np.array([np.frombuffer(data, np.uint8) for data in pictures] + [None], object)[:-1]
            images.attrs.update({"category": "img", "storage": "varsize_image_buffer", "lossy": lossy})
        else:
            file["images"] = images
        for name, value in (labels | others).items():
            if name not in leave:
                file[name] = value.astype(np.float16) if name == "shapeparams" else value
                file[name].attrs["category"] = categories.get(name, "")
    return path


def make(dataset: str, folder: Path) -> Path:
    """A small sound archive of any dataset."""
    rng = np.random.default_rng(5)
    if dataset == "aflw2k":
        return aflw2k(rng, 40).write(folder / "AFLW2000-3D.zip")
    if dataset == "w300lp":
        return w300lp(rng, [f"HELEN/HELEN_{i}_1" for i in range(20)]).write(folder / "300W-LP.zip")
    if dataset == "ytfaces":
        videos = {f"Ann_{i}": video(rng) for i in range(3)}
        return ytfaces(folder / "YTFaces", videos, dict.fromkeys(videos, "Ann"), unpacked=["Ann_1"])
    if dataset == "widerface":
        return widerface(rng, folder / "wider_faces")
    if dataset == "biwi":
        biwi_boxes(folder / "BIWI", [f"{p},{f},200,100,300,{220 + f}" for p in (1, 22) for f in range(3, 9)])
        biwi(rng).write(folder / "BIWI" / "hpdb.zip")
        return folder / "BIWI"
    if dataset == "opentrack_h5":
        return opentrack_h5(rng, folder / "wflw.h5")
    raise ValueError(f"no archive is made for {dataset}: a new reader needs one here")
