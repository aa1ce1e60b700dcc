"""The race of L1 penalties: what a stopped run says, and that a silent process ends."""

import time

import pytest

from benchmarks.race import LIMIT, compared, sent


def stall(sender):
    sender.send(None)
    sender.send(1)
    time.sleep(60)


def test_a_stopped_rival_gives_a_lower_bound_of_its_ratio():
    found = compared(2.0, {"saga": None, "skglm": 3.0})
    assert found["saga / ours"] == LIMIT / 2
    assert found["saga / ours, in words"] == f">= {LIMIT / 2:.3g}"
    assert found["skglm / ours"] == found["best / ours"] == 1.5
    assert found["best / ours, in words"] == "1.5"
    assert compared(2.0, {"saga": None})["best / ours, in words"] == f">= {LIMIT / 2:.3g}"


def test_a_stopped_run_of_ours_is_no_time():
    found = compared(None, {"saga": None, "skglm": 3.0})
    assert "saga / ours" not in found
    assert found["skglm / ours"] == found["best / ours"] == 0.0
    assert "best / ours" not in compared(None, {"saga": None})


@pytest.mark.slow
def test_a_process_that_is_silent_is_killed():
    began = time.perf_counter()
    assert list(sent(0.1, stall)) == [1, None]
    assert time.perf_counter() - began < 50
