"""What work will take, from what it took."""

import pytest

from server.forecast import Forecast


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
