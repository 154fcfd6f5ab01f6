"""The tables of occasions and weather, the words that name them, and what a wish comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordi.errors import DataError
from coordi.style import occasions as tables
from coordi.style.occasions import GivesWay, brief_of, occasions, parse_occasion, parse_weather, weathers

HEAD = "occasion,words,formality,welcome,out,source"


def test_every_occasion_that_people_ask_for_has_a_dress_code_and_a_source() -> None:
    asked = {
        "office", "interview", "wedding guest", "black tie", "cocktail", "date", "everyday", "school", "travel",
        "beach", "gym", "hiking", "funeral", "religious service", "home", "party", "smart casual", "business casual",
    }  # fmt: skip
    assert asked <= occasions().keys()
    for guide in occasions().values():
        assert guide.formality is not None
        assert guide.out
        assert len(guide.source) > 20


def test_every_temperature_has_one_band() -> None:
    for tenths in range(-500, 500):
        bands = [guide.name for guide in weathers().values() if guide.is_band and tables._within(tenths / 10, guide)]
        assert len(bands) == 1, tenths


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("office", ["office"]),
        ("Black-Tie at the BEACH", ["black tie", "beach"]),
        ("a wedding", ["wedding guest"]),
        ("dress code: smart casual", ["smart casual"]),
        ("면접", ["interview"]),
        ("결혼식 하객", ["wedding guest"]),
        ("church, church", ["religious service"]),
    ],
)
def test_words_name_occasions(text: str, names: list[str]) -> None:
    assert [guide.name for guide in parse_occasion(text)] == names


@pytest.mark.parametrize(
    ("text", "written", "degrees"),
    [
        ("8 C, rain", "8 C, rain", 8.0),
        ("46°F and windy", "46 F, wind", pytest.approx(7.78, abs=0.01)),
        ("−3,5 ℃ 눈", "-3.5 C, snow", -3.5),
        ("Winter", "winter", None),
        ("fall, wet", "autumn, rain", None),
        ("50 c", "50 C", 50.0),
    ],
)
def test_weather_is_read_as_people_type_it(text: str, written: str, degrees: float | None) -> None:
    weather = parse_weather(text)
    assert str(weather) == written
    assert weather.degrees == degrees
    assert parse_weather(written) == weather


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("offise", "no occasion 'offise'; nearest: office; accepted are office, interview"),
        ("office in space", "no occasion 'space'"),
        ("the", "no occasion 'the'"),
        ("office gym home party", r"4 occasions at once \(office, gym, home, party\); name 3 at most"),
    ],
)
def test_what_is_no_occasion_is_named_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_occasion(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("60 C", r"the temperature is 60 C; accepted are -50 C \(-58 F\) to 50 C \(122 F\)"),
        ("-60 F", "the temperature is -60 F"),
        ("8", "the temperature '8' has no unit; write 8 C or 8 F"),
        ("8 C to 12 C", "has 2 numbers; give one temperature, such as 8 C"),
        ("foggy", "no weather 'foggy'; accepted are freezing"),
        ("8 C, hial", "no weather 'hial'"),
        ("", "no weather ''"),
        ("9" * 90 + " C", "accepted are -50 C"),
    ],
)
def test_weather_that_is_not_understood_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_weather(text)


def test_of_dress_codes_that_exclude_each_other_the_strictest_counts() -> None:
    brief = brief_of("beach, black tie", "")
    assert brief.key == ("black tie", "beach")
    assert brief.formality == (5, 6)
    assert brief.gives_way == (GivesWay("beach", "black tie"),)
    together = brief_of("office party", "")
    assert (together.formality, together.gives_way) == ((2, 4), ())


def test_snow_and_seasons_give_way_to_a_temperature_at_which_they_cannot_be() -> None:
    brief = brief_of("", "27 C, snow, winter, rain")
    assert brief.key == ("hot", "rain")
    assert brief.gives_way == (GivesWay("snow", "27 C"), GivesWay("winter", "27 C"))
    assert brief_of("", "2 C, snow, winter").gives_way == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("ball,,4-6,,,", "gives 'ball' no source"),
        ("ball,,4-6,,kind:zzz,guides", "has 'kind:zzz'; accepted is FACT:VALUE"),
        ("ball,,4-6,shape:round,,guides", "has 'shape:round'; accepted is FACT:VALUE"),
        ("ball,dance,4-6,,,guides\ndisco,dance,2-3,,,guides", "gives 'dance' to 'ball' and 'disco'"),
        ("ball,,6-4,,,guides", "has the formality '6-4'"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "own.csv").write_text(f"{HEAD}\n{row}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        tables._load(tmp_path / "own.csv", "occasion")
