"""The page that DVC fills with charts and pictures: a skeleton with all scripts in it, so that no network is needed."""

import json
from collections.abc import Mapping
from pathlib import Path

from vl_convert import javascript_bundle

TEMPLATE = Path(__file__).parent / "templates" / "plots_page.html"
SLOT = "{plot_divs}"  # where DVC puts its charts and pictures
INTRODUCTION = {
    "synthetic": "Everything here was measured on faces that the pipeline drew itself. These are no results on "
    "photographs of people, and not to be compared with published ones.",
    "real": "Measured on your archives. With few samples half a degree means nothing: reports/report.md tells how many "
    "there were, and the intervals.",
}


def page(skeleton: str, source: str, titles: Mapping[str, str]) -> str:
    """The template of DVC's page, HTML.

    skeleton: holds the words of `_words`, once or oftener, and DVC's slot once. source: of the archives. titles: how a
    chart or picture is called in print, by its name in dvc.yaml.
    Raises ValueError if the skeleton lacks any of them.
    """
    words = {
        "%source%": source,
        "%introduction%": INTRODUCTION[source],
        "%titles%": json.dumps(dict(titles), indent=1),
        "%scripts%": javascript_bundle(),  # type: ignore[call-arg]  # the stub asks for what has a default
    }
    lacking = [word for word in (*words, SLOT) if word not in skeleton]
    if lacking:
        raise ValueError(f"the page's skeleton lacks {', '.join(lacking)}")
    for word, text in words.items():  # the scripts last: what looks like a word in them stays
        skeleton = skeleton.replace(word, text)
    return skeleton
