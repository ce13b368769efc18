"""The page that DVC fills with charts and images; it holds all its scripts, so that it works without a network."""

import json

from vl_convert import javascript_bundle

from nntrack.reporting import titles
from nntrack.reporting.render import render


def plots_page(source: str) -> str:
    """Return the HTML template for DVC's setting ``plots.html_template``. source: of the archives."""
    scripts = javascript_bundle()  # type: ignore[call-arg]  # the stub asks for what has a default
    return render(
        "plots_page.html.j2", source=source, titles=json.dumps(titles.of_plots(source), indent=1), scripts=scripts
    )
