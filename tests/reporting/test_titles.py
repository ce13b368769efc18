from nntrack.evaluation.protocols import PROTOCOLS
from nntrack.reporting import titles


def test_every_protocol_has_a_title():
    known = {f"{row.dataset}_{row.name}" for row in PROTOCOLS if row.dataset in titles.DATASETS}
    assert known == titles.PROTOCOLS.keys()
    assert titles.of("wflw", "bbox") == "wflw, bbox"
