"""The picture of `autoperf benchmark --plot`: well-formed, escaped, every bar where its number belongs."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from autoperf.benchmark.picture import draw

SVG = "{http://www.w3.org/2000/svg}"


def scenario(rows: dict[str, tuple[float, float, float]], **more: Any) -> dict[str, Any]:
    def row(name: str, median: float, lowest: float, highest: float) -> dict[str, Any]:
        ratio = {"median": median, "lowest": lowest, "highest": highest, "each": [median]}
        variants = {"bare": {"median": 1.0}, "autoperf": {"median": 1.0, "ratio": ratio}}
        return {"what": name, "unit": "s", "variants": variants}

    return {
        "scenario": "short",
        "meaning": "two messages",
        "provider": "other",
        "rounds": 2,
        "variants": ["bare", "autoperf"],
        "rows": [row(name, *numbers) for name, numbers in rows.items()],
        **more,
    }


def parsed(*scenarios: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(draw(scenarios))


def texts(picture: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def bars(picture: ElementTree.Element) -> list[tuple[str, float, float]]:
    found = [element for element in picture.iter(f"{SVG}rect") if element.get("class") != "page"]
    return [(e.attrib["class"], float(e.attrib["x"]), float(e.attrib["width"])) for e in found]


def test_a_bar_reaches_from_one_to_its_ratio() -> None:
    picture = parsed(scenario({"CPU": (2.0, 1.5, 4.0), "wall": (0.5, 0.5, 0.5), "twice": (4.0, 4.0, 4.0)}))
    (kind, left, width), (worse, to_left, as_wide), (_, same, twice) = bars(picture)
    assert (kind, worse) == ("better", "worse")
    assert left == same
    assert to_left + as_wide == pytest.approx(left, abs=0.2)
    assert width == pytest.approx(as_wide, abs=0.2)
    assert twice == pytest.approx(2 * width, abs=0.2)
    assert {"CPU", "wall", "2.00x", "0.50x", "4.00x"} <= set(texts(picture))


def test_shares_of_a_row_with_the_same_ratio_are_not_drawn_again() -> None:
    picture = parsed(scenario({"CPU": (2.0, 2.0, 2.0), "CPU a step": (2.0, 2.0, 2.0)}))
    assert len(bars(picture)) == 1


def test_what_has_no_ratio_has_no_bar() -> None:
    data = scenario({"CPU": (2.0, 2.0, 2.0)})
    data["rows"][0]["variants"]["autoperf"]["ratio"] = {"median": None, "lowest": None, "highest": None}
    assert bars(parsed(data)) == []


def test_strange_names_stay_text() -> None:
    data = scenario({"<CPU> & \x1b[31m": (2.0, 2.0, 2.0)}, meaning='</text><script>alert("x")</script>')
    picture = parsed(data)
    assert not list(picture.iter(f"{SVG}script"))
    assert 'short: </text><script>alert("x")</script> (2 rounds)' in texts(picture)
    assert "<CPU> & \\x1b[31m" in texts(picture)


def test_it_needs_nothing_from_outside_and_everything_lies_on_its_page() -> None:
    data = [scenario({f"row {n}": (1.1**n, 1.1**n / 2, 1.1**n * 3) for n in range(40)}), scenario({})]
    text = draw(data)
    assert not re.search(r"(href|src|url\(|@import|@font-face)", text)
    picture = ElementTree.fromstring(text)
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    page = next(e for e in picture.iter(f"{SVG}rect") if e.get("class") == "page")
    assert (page.get("width"), page.get("height")) == (picture.attrib["width"], picture.attrib["height"])
    for element in picture.iter(f"{SVG}text"):
        assert 0 <= float(element.attrib["y"]) <= height
    for _, left, wide in bars(picture):
        assert left >= 0
        assert left + wide <= width
    assert "prefers-color-scheme: dark" in text


def test_a_range_is_drawn_where_the_rounds_differ() -> None:
    def ranges(*numbers: float) -> int:
        picture = parsed(scenario({"CPU": numbers}))  # type: ignore[dict-item]
        return sum(path.get("class") == "range" for path in picture.iter(f"{SVG}path"))

    assert ranges(2.0, 1.5, 2.5) == 1
    assert ranges(2.0, 2.0, 2.0) == 0


def test_a_noisy_machine_is_written_on_it() -> None:
    data = [scenario({"CPU": (2.0, 2.0, 2.0)})]
    assert "noisy machine" in draw(data, noisy=True)
    assert "noisy machine" not in draw(data)


def test_several_variants_are_named_on_their_bars() -> None:
    data = scenario({"CPU": (2.0, 2.0, 2.0)}, variants=["bare", "autoperf", "tools"])
    data["rows"][0]["variants"]["tools"] = data["rows"][0]["variants"]["autoperf"]
    assert {"CPU, autoperf", "CPU, tools"} <= set(texts(parsed(data)))
