"""Every alarm case, whole, in single readings and in random pieces: the cuts must not be seen in the answer."""

from pathlib import Path

import pytest

from park_wire.quality import Quality
from support.alarm_cases import AlarmCase, cuts_of, load_case, microseconds, parse_series, play

CASES = sorted(Path(__file__).parent.joinpath("alarms").glob("*.toml"))


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> AlarmCase:
    path = request.param
    assert isinstance(path, Path)
    return load_case(path)


def test_whole(case: AlarmCase) -> None:
    assert play(case, [], tell=False) == (list(case.expect), case.ends)


@pytest.mark.parametrize("tell", [False, True])
def test_in_single_readings(case: AlarmCase, tell: bool) -> None:
    assert play(case, [row[0] for row in case.readings], tell=tell) == (list(case.expect), case.ends)


def test_with_the_clock_told_at_every_step(case: AlarmCase) -> None:
    step = max(case.until // 200, 100_000)
    assert play(case, range(0, case.until, step), tell=True) == (list(case.expect), case.ends)


def test_in_random_pieces(case: AlarmCase) -> None:
    for seed in range(6):
        for tell in (False, True):
            assert play(case, cuts_of(case, seed), tell=tell) == (list(case.expect), case.ends), seed


def test_every_case_says_what_it_is_about() -> None:
    assert len(CASES) >= 20
    titles = [load_case(path).title for path in CASES]
    assert len(set(titles)) == len(titles)


def test_series_as_text() -> None:
    readings, last = parse_series("1.5 ?1.6 bad _ 2x2 1.5+0.1x3 -3", microseconds("500ms"))
    assert [(time, quality) for time, _, quality in readings] == [
        (0, Quality.GOOD),
        (500_000, Quality.UNCERTAIN),
        (1_000_000, Quality.BAD_NO_ANSWER),
        (2_000_000, Quality.GOOD),
        (2_500_000, Quality.GOOD),
        (3_000_000, Quality.GOOD),
        (3_500_000, Quality.GOOD),
        (4_000_000, Quality.GOOD),
        (4_500_000, Quality.GOOD),
    ]
    assert [value for _, value, _ in readings][3:] == [2, 2, 1.5, 1.6, 1.7, -3]
    assert last == 4_500_000


@pytest.mark.parametrize("word", ["1,5", "1.5x", "good", "?bad", "1.5*3"])
def test_series_refuses_what_it_does_not_know(word: str) -> None:
    with pytest.raises(ValueError, match="no word of a series"):
        parse_series(word, 1)


def test_case_refuses_a_misspelt_key(tmp_path: Path) -> None:
    path = tmp_path / "typo.toml"
    path.write_text('title = "t"\nrule = { kind = "H", limit = 1.0, ondelay = "5s" }\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"typo.toml: rule: .*ondelay"):
        load_case(path)
