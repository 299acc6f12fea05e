"""What work will take, from what it took."""

import pytest

from server.engine.forecast import Forecast


def test_what_is_not_known_takes_no_time() -> None:
    forecast = Forecast()
    forecast.learn("plan", "keyin", 10, 2.0)
    assert forecast.seconds("plan", "other", 10) == forecast.seconds("action", "keyin", 10) == 0.0


def test_the_first_time_counts_until_there_is_a_second_one() -> None:
    forecast = Forecast()
    forecast.learn("plan", "keyin", 10, 5.0)
    assert forecast.seconds("plan", "keyin", 20) == pytest.approx(10.0)
    forecast.learn("plan", "keyin", 10, 1.0)
    assert forecast.seconds("plan", "keyin", 20) == pytest.approx(2.0)


def test_later_times_are_averaged() -> None:
    forecast = Forecast()
    for seconds in (9.0, 1.0, 2.0):
        forecast.learn("plan", "keyin", 1, seconds)
    assert forecast.seconds("plan", "keyin", 1) == pytest.approx(1.3)


def test_work_that_was_cut_short_can_only_take_longer() -> None:
    forecast = Forecast()
    for seconds in (9.0, 1.0):
        forecast.learn("plan", "keyin", 1, seconds)
    forecast.learn_more("plan", "keyin", 1, 0.5)
    assert forecast.seconds("plan", "keyin", 1) == pytest.approx(1.0)
    forecast.learn_more("plan", "keyin", 1, 2.0)
    assert forecast.seconds("plan", "keyin", 1) > 1.0


def learned(*work: tuple[float, float]) -> Forecast:
    forecast = Forecast()
    for amount, seconds in work:
        for _ in range(2):
            forecast.learn("plan", "keyin", amount, seconds)
    return forecast


def test_small_work_says_nothing_about_large_work() -> None:
    forecast = learned((600, 0.3))
    for _ in range(12):
        forecast.learn("plan", "keyin", 2, 0.02)
    assert forecast.seconds("plan", "keyin", 600) == pytest.approx(0.3)
    assert forecast.seconds("plan", "keyin", 2) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("amount", "seconds"), [(5, 0.5), (10, 1.0), (20, 1.25), (50, 2.0), (70, 2.5), (90, 3.0), (290, 8.0)]
)
def test_lines_lead_from_what_is_known_to_the_rest(amount: float, seconds: float) -> None:
    forecast = learned((90, 3.0), (10, 1.0), (50, 2.0))
    assert forecast.seconds("plan", "keyin", amount) == pytest.approx(seconds)


# Measurements of amounts that are almost the same make steep lines.
@pytest.mark.parametrize(("seconds", "predicted"), [(0.5, 0.5), (3.0, 3.0 * 1000 / 64)])
def test_noise_does_not_lead_far(seconds: float, predicted: float) -> None:
    forecast = learned((63, 1.0), (64, seconds))
    assert forecast.seconds("plan", "keyin", 1000) == pytest.approx(predicted)
