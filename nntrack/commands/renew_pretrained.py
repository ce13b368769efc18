"""Put the networks of the last run into the package."""


def main() -> None:
    """Put the networks of the last `dvc repro` into nntrack/pretrained, with their model card and parameters.

    They are what `nntrack track` and `nntrack demo` use where no networks have been trained. Only networks trained on
    rendered heads alone, by code that is committed, are taken.

    Example: nntrack renew-pretrained
    """
    from nntrack.deploy import pretrained

    record = pretrained.renew()
    print(f"{', '.join(record['files'])}: renewed, made by commit {record['commit'][:12]}")
