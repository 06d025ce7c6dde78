"""Small pictures: well-formed, short enough to be shown in place, and true to what they draw."""

import base64
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import dagster as dg
import numpy as np
import numpy.typing as npt
import pytest

from samplemix_dagster.wiring.assets.shown.pictures import (
    SHOWN_IN_PLACE,
    Interval,
    bars_svg,
    coarse,
    histogram_svg,
    inside,
    intervals_svg,
    plane_svg,
)

NAMESPACE = "{http://www.w3.org/2000/svg}"


def svg_of(value: dg.MarkdownMetadataValue) -> ET.Element:
    """Parse the picture in a piece of markdown, which must be well-formed."""
    text = str(value.value)
    address = text[text.index("](") + 2 : -1]
    assert not set(" ()<>\"'") & set(address.replace("'", "")), "markdown would end it here"
    head, _, rest = address.partition(",")
    assert head.startswith("data:image/svg+xml")
    spelled = base64.b64decode(rest).decode() if head.endswith("base64") else unquote(rest)
    return ET.fromstring(spelled)


def scattered(num_documents: int, seed: int) -> npt.NDArray[np.float64]:
    """Return a plane of documents scattered by a beta law, as a small corpus is."""
    rng = np.random.default_rng(seed)
    quality, diversity = rng.beta(2, 3, num_documents), rng.beta(3, 2, num_documents)
    box = ((0, 1), (0, 1))
    return np.histogram2d(quality, diversity, bins=128, range=box)[0]


@pytest.mark.parametrize("num_documents", [0, 1, 40, 300, 5_000, 200_000])
@pytest.mark.parametrize("seed", range(5))
def test_every_plane_is_well_formed_and_shown_in_place(num_documents: int, seed: int) -> None:
    corpus = scattered(num_documents, seed)
    drawn = scattered(num_documents // 7, seed + 100)
    law = coarse(scattered(100_000, 7), 64)
    for picture in (plane_svg(corpus, drawn, law), plane_svg(corpus, None, law)):
        assert len(str(picture.value)) <= SHOWN_IN_PLACE
        assert svg_of(picture).findall(f".//{NAMESPACE}path")


def test_a_plane_of_noise_takes_fewer_cells_and_still_fits() -> None:
    noise = np.random.default_rng(3).uniform(0, 1, (128, 128)) ** 9
    picture = plane_svg(noise, noise.T, None)
    assert len(str(picture.value)) <= SHOWN_IN_PLACE
    cells = int(svg_of(picture).attrib["viewBox"].split(",")[-1])
    assert cells < 12


def test_the_darkest_cells_hold_half_of_the_tokens_and_are_the_fewest() -> None:
    tokens = coarse(scattered(3_000, 1), 12)
    chosen = inside(tokens, 0.5)
    assert tokens[chosen].sum() >= tokens.sum() / 2
    assert tokens[chosen].sum() - tokens[chosen].min() < tokens.sum() / 2
    assert tokens[chosen].min() >= tokens[~chosen].max()


def test_no_tokens_are_no_cells() -> None:
    assert not inside(np.zeros((4, 4)), 0.95).any()


def test_quality_goes_to_the_right_and_diversity_up() -> None:
    corpus = np.zeros((128, 128))
    corpus[127, 0] = 1  # high quality, low diversity: bottom right
    path = svg_of(plane_svg(corpus, None, None)).findall(f".//{NAMESPACE}path")[0]
    assert path.attrib["d"] == "M11,11h1"


def test_coarse_cells_keep_every_token() -> None:
    tokens = scattered(10_000, 2)
    for cells in (6, 8, 10, 12):
        assert coarse(tokens, cells).shape == (cells, cells)
        assert coarse(tokens, cells).sum() == tokens.sum()


@pytest.mark.parametrize(
    "name", ["plain", "a<b>&c'd\"e", "](javascript:x)", "词" * 40, "%41%3Cscript%3E"]
)
def test_a_name_stays_text_and_the_bars_stay_short(name: str) -> None:
    rows = [(name, 0.4, 0.6), *((f"other {number} {name}", 0.1, 0.05) for number in range(7))]
    picture = bars_svg(rows, "shares")
    assert len(str(picture.value)) <= SHOWN_IN_PLACE
    drawn = svg_of(picture)
    assert {element.tag for element in drawn.iter()} == {
        NAMESPACE + tag for tag in ("svg", "text", "path")
    }
    shown = name if len(name) <= 14 else name[:13] + "…"
    assert next(text.text for text in drawn.findall(f"{NAMESPACE}text")) == f"{shown} 40→60%"


def test_bars_of_nothing_are_an_empty_picture() -> None:
    assert svg_of(bars_svg([], "shares")).findall(f"{NAMESPACE}text") == []


@pytest.mark.parametrize("peak", [0, 1, 10**9])
def test_a_histogram_is_shown_in_place(peak: int) -> None:
    counts = np.random.default_rng(peak % 97).integers(0, peak + 1, 40)
    picture = histogram_svg(counts, 0, 1)
    assert len(str(picture.value)) <= SHOWN_IN_PLACE
    assert len(svg_of(picture).findall(f"{NAMESPACE}text")) == 2


@pytest.mark.parametrize("num_arms", [0, 1, 4, 30])
def test_intervals_are_well_formed_and_no_arm_is_left_out(num_arms: int) -> None:
    rows = [Interval(f"arm<{n}>", n / 10 - 1, n / 10 - 1.5, n / 10) for n in range(num_arms)]
    picture = intervals_svg(rows, "differences")
    assert num_arms > 4 or len(str(picture.value)) <= SHOWN_IN_PLACE
    words = [found.text for found in svg_of(picture).findall(f".//{NAMESPACE}text")]
    assert words == [row.name for row in rows]


def test_a_gain_is_drawn_left_of_nought_and_a_loss_right_of_it() -> None:
    rows = [Interval("a", -0.2, -0.3, -0.1), Interval("b", 0.2, 0.1, None)]
    nought, lines, _ = (
        str(found.attrib["d"])
        for found in svg_of(intervals_svg(rows, "")).findall(f".//{NAMESPACE}path")
    )
    zero = int(nought.partition(",")[0].lstrip("M"))
    gain, loss = (line.partition("H") for line in lines.lstrip("M").split("M"))
    assert int(gain[0].partition(",")[0]) < int(gain[2]) < zero < int(loss[0].partition(",")[0])
