import pytest
from jinja2 import UndefinedError

from nntrack.reporting.render import markdown, render


def test_a_table_aligns_text_left_and_figures_right():
    lines = markdown([{"a": "x", "b": 1.50, "c": "y"}, {"a": "z", "b": "2.50"}], ("c",)).splitlines()
    assert lines == ["| a   |    b | c   |", "|:----|-----:|:----|", "| x   |  1.5 | y   |", "| z   | 2.50 |     |"]


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="is undefined"):
        render("plots_page.html.j2")
