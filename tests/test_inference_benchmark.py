"""The benchmark of tables of coefficients: its parts run at small sizes, and agree with rivals that are installed."""

import pytest

from benchmarks import inference


@pytest.mark.slow
def test_robust_tables_agree_with_statsmodels_and_their_memory_is_measured():
    pytest.importorskip("statsmodels.api", reason="the benchmark compares with it")
    found = inference.covariance(inference.SMALL["covariance"])
    assert found["difference of errors"] < 1e-9
    assert found["statsmodels / ours"] > 0
    assert all(found[f"MB above X of {name}"] < 100 for name in ("ours", "statsmodels"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of rivals
def test_every_part_says_what_it_measured_or_what_is_missing():
    for name in ("scores", "profile", "firth"):
        found = inference.PARTS[name](inference.SMALL[name])
        assert any(key.startswith(("seconds", "missing", "float64")) for key in found)


def test_a_rival_counts_with_all_threads_or_one_whichever_is_faster():
    seconds, values = inference.shortest({"ours": lambda: 1, "rival": lambda: 2}, "rival")
    assert seconds["rival"] == min(seconds["rival, one thread"], seconds["rival, all threads"])
    assert values["ours"] == 1
    assert values["rival"] == values["rival, one thread"] == 2
