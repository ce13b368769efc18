"""Titles of datasets, protocols, published methods, charts and images, for tables and pages."""

from nntrack.data.datasets import in_pipeline

DATASETS = {name: row.title for name, row in in_pipeline().items()}

# By dataset and protocol, as the CSV files of errors are named.
PROTOCOLS = {
    "aflw2k_bbox": "AFLW2000-3D, ground-truth boxes",
    "aflw2k_center": "AFLW2000-3D, centre crop",
    "w300lp_bbox": "300W-LP, held-out photos",
    "ytfaces_bbox": "YTFaces, held-out persons",
    "biwi_box": "BIWI, boxes",
    "biwi_perspective": "BIWI, boxes, perspective corrected",
    "widerface_val": "WIDER FACE, validation photos",
}

# Lines of a chart, by the end of their files' names, which is all that DVC keeps of them.
LINES = {
    "train/loss.tsv": "training",
    "train/loss.tsv::loss": "training",
    "valid/score.tsv": "held-out samples",
    "valid/score.tsv::score": "held-out samples",
    **{f"{name}.csv": title for name, title in PROTOCOLS.items()},
}

PUBLISHED = {
    "Valle_2021": "Valle et al. 2021",
    "SynergyNet": "Wu et al. 2021 (SynergyNet)",
    "3DDFA_V2": "3DDFA_V2, ground-truth boxes (measured by NN-Tracker's author)",
    "NN-Tracker_bbox": "NN-Tracker, ground-truth boxes",
    "NN-Tracker_center": "NN-Tracker, centre crop",
    "NN-Tracker-2024_bbox": "NN-Tracker 2024, ground-truth boxes",
    "NN-Tracker-2024_center": "NN-Tracker 2024, centre crop",
}

# Charts of the stage `card`, in the order of the pages. They are of rendered people, wherever the archives come from.
CARD = {
    "crop": "Pitch by the size of the window, rendered people (synthetic)",
    "gain": "Predicted by true angles, rendered people (synthetic)",
    "turn": "Error of pitch while the head turns, rendered people (synthetic)",
    "distance": "Faces found by their width, rendered people (synthetic)",
}

# Sections of the report card whose names do not say what they are measured on.
SECTIONS = {"rendered": "rendered people (synthetic)"}

# Files of the stage `pictures`, in the order in which the pages show them.
PICTURES = {
    "poses_best_median_worst": "Pose net: best, median and worst predictions",
    "localizer_hits_misses": "Localizer: hits and misses",
    "localizer_heat": "Localizer: heat maps",
    "augmentation": "Training images after augmentation",
    **{f"dataset_{name}": f"{title}: samples with their labels" for name, title in DATASETS.items()},
}


def of(dataset: str, protocol: str) -> str:
    """Return the title of what was measured: a dataset under a protocol."""
    return PROTOCOLS.get(f"{dataset}_{protocol}") or f"{DATASETS.get(dataset, dataset)}, {protocol}"


def of_plots(source: str) -> dict[str, str]:
    """Return the titles of charts, images and lines by the names DVC gives them; images in the order of the page.

    source: of the archives; stated in every title that could be mistaken for one of an original dataset.
    """
    note = "" if source == "real" else f" ({source})"
    return {
        **{f"reports/errors/{name}.csv": f"Errors{note}: {title}" for name, title in PROTOCOLS.items()},
        **{f"reports/card/{name}.svg": title for name, title in CARD.items()},
        **{f"reports/pictures/{name}.jpg": title for name, title in PICTURES.items()},
        **{f"data/synthetic/sheets/{name}.jpg": f"Rendered in the layout of {t}" for name, t in DATASETS.items()},
        "data/synthetic/sheets/clip.jpg": "Rendered clip of known poses",
        **LINES,
    }
