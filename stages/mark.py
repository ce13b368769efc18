"""Stage: fingerprints of the archives that a user put into a folder, as marks that DVC watches in their place."""

from pathlib import Path

from nntrack.command_line import run


def main(folder: Path) -> None:
    """Write FOLDER/<archive>.mark for every archive that the convert stages of dvc.yaml name."""
    from nntrack import config
    from nntrack.files import check_outputs
    from nntrack.readers import fingerprints

    params = config.load()
    archives = config.read_yaml("dvc.yaml")["stages"]["convert"]["foreach"]
    places = [folder / archive for archive in archives.values()]
    check_outputs(*map(fingerprints.mark_path, places), inputs=places)
    unused = [archive for dataset, archive in archives.items() if not params.convert.dataset(dataset).use]
    print(fingerprints.describe(fingerprints.write_marks(folder, list(archives.values()), unused)))


if __name__ == "__main__":
    run(main)
