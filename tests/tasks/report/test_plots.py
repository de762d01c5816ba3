import re
from xml.etree import ElementTree

import pandas as pd
import pytest
from markupsafe import Markup

from tasks.report import plots

EPOCHS, LOSSES = pd.Series([1, 2, 3]), pd.Series([2.0, 1.5, 1.2])
LINES = [plots.Line("train", EPOCHS, LOSSES), plots.Line("val", EPOCHS, LOSSES + 0.1)]
BINS = pd.DataFrame(
    {"low": [0.2, 0.8], "high": [0.4, 1.0], "clips": [3, 9], "confidence": [0.3, 0.9], "accuracy": [0, 1]}
)


def all_plots() -> list[Markup]:
    return [
        plots.curves(LINES, y_label="loss", alt="Loss", boundary=1.0),
        plots.history(EPOCHS, LOSSES, 2.0, label="val_loss", alt="Trials"),
        plots.history(EPOCHS[:1], LOSSES[:1], None, label="val_loss", alt="One trial"),
        plots.reliability(BINS, alt="Reliability"),
        plots.distribution({"train": LOSSES, "test": LOSSES * 2}, label="motion", alt="Motion"),
    ]


@pytest.fixture(scope="module")
def drawn() -> list[Markup]:
    return all_plots()


def test_the_same_bytes_every_time(drawn: list[Markup]):
    assert all_plots() == drawn


def test_each_plot_is_an_accessible_picture_that_fits_its_place(drawn: list[Markup]):
    for plot in drawn:
        root = ElementTree.fromstring(plot)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"]
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib


def test_colours_and_font_come_from_the_page(drawn: list[Markup]):
    for plot in drawn:
        assert "var(--accent)" in plot
        assert not re.search(r"#[0-9a-f]{6}\b", plot)
        assert "font-family" not in plot
        assert "<style" not in plot


def test_plots_share_no_identifiers(drawn: list[Markup]):
    identifiers = [found for plot in drawn for found in re.findall(r' id="([^"]+)"', plot)]
    assert len(identifiers) == len(set(identifiers))
    for plot in drawn:
        assert set(re.findall(r'#([\w-]+)[")]', plot)) <= set(re.findall(r' id="([^"]+)"', plot))


def test_words_are_escaped():
    plot = plots.curves(LINES, y_label="<i>loss & $x^2", alt='"><script>alert(1)</script>')
    root = ElementTree.fromstring(plot)
    assert root.attrib["aria-label"] == '"><script>alert(1)</script>'
    assert "<script" not in plot
