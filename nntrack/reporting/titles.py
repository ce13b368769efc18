"""How things are called in print: datasets, protocols, published methods, charts and pictures."""

from nntrack.data.datasets import in_pipeline

DATASETS = {name: row.title for name, row in in_pipeline().items()}

# By dataset and protocol, as the files of single errors are called.
PROTOCOLS = {
    "aflw2k_bbox": "AFLW2000-3D, ground-truth boxes",
    "aflw2k_center": "AFLW2000-3D, centre crop",
    "300wlp_bbox": "300W-LP, held-out photos",
    "ytfaces_bbox": "YTFaces, held-out persons",
    "biwi_box": "BIWI, boxes",
    "biwi_perspective": "BIWI, boxes, perspective corrected",
    "widerface_val": "WIDER FACE, photos kept apart",
}

# The lines of a chart, by the end of their files' names that DVC leaves.
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

# The files of the stage that draws pictures, in the order in which they are shown.
PICTURES = {
    "poses_best_median_worst": "Pose net: best, median and worst answers",
    "localizer_hits_misses": "Localizer: hits and misses",
    "localizer_heat": "Localizer: heat maps",
    "augmentation": "What a training batch looks like after augmentation",
    **{f"dataset_{name}": f"Samples of {title}'s archive with their labels" for name, title in DATASETS.items()},
}


def of(dataset: str, protocol: str) -> str:
    """What was measured, in words."""
    return PROTOCOLS.get(f"{dataset}_{protocol}") or f"{DATASETS.get(dataset, dataset)}, {protocol}"


def of_plots(source: str) -> dict[str, str]:
    """Titles of the charts, pictures and lines that DVC calls by their files; pictures in the order of the page.

    source: of the archives, told wherever a chart might be taken for one of the originals.
    """
    told = "" if source == "real" else f" ({source})"
    return {
        **{f"reports/errors/{name}.csv": f"Errors{told}: {title}" for name, title in PROTOCOLS.items()},
        **{f"reports/pictures/{name}.jpg": title for name, title in PICTURES.items()},
        **{f"data/synthetic/sheets/{name}.jpg": f"Drawn in the layout of {title}" for name, title in DATASETS.items()},
        **LINES,
    }
