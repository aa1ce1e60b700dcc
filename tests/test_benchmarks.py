"""The league's judge, clock, loaders and report; that a rival cannot stall it, and that its bars point somewhere."""

import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegressionCV

import xlogreg
from benchmarks import any_data, engine, estimators, load, loaders, many, memory, problems, report, rule, run
from benchmarks.bars import EVERY, at_least, at_most, check
from benchmarks.clock import Limits, repeat
from benchmarks.competitors import COMPETITORS
from benchmarks.contest import Answer, Competitor
from benchmarks.judge import agreement, judge
from benchmarks.league import League, ask, contest, lowest, read_records, read_runs
from benchmarks.problems import Problem, gaussian
from benchmarks.standings import OURS, standings
from benchmarks.worker import measure

ROOT = Path(__file__).parent.parent
QUICK = (OURS, *(f"scikit-learn {name}" for name in ("lbfgs", "newton-cholesky", "liblinear")), "the notes' loop")
ROUGH = ("PyTorch Adam", "scikit-learn lbfgs, torch")  # the latter at its defaults, for which there is time


@pytest.fixture(scope="module")
def small():
    X, y = gaussian(400, 4, 3)
    return Problem("small", X, y, 1 / 400, "", 3, ())


def answer_of(name, problem, setting=-1):
    competitor = COMPETITORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return competitor.fit(competitor.prepare(problem), **competitor.settings[setting])


# the judge


def test_the_judge_finds_a_known_optimum():
    x = np.repeat([0.0, 1.0], [40, 60])[:, None]
    y = np.concatenate([np.arange(40) < 10, np.arange(60) < 45]).astype(int)
    logit = [math.log(p / (1 - p)) for p in (0.25, 0.75)]
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    w, b = np.asarray([[logit[1] - logit[0]]]), np.asarray([logit[0]])
    assert judge(x, y, w, b, 0.0).cost == pytest.approx(entropy, rel=1e-15)
    assert judge(x, y, np.hstack([-w / 2, w / 2]), np.append(-b / 2, b / 2), 0.0).cost == pytest.approx(entropy)
    for change in (1e-3, -1e-3):
        assert judge(x, y, w + change, b, 0.0).cost > entropy + 1e-8
        assert judge(x, y, w, b + change, 0.0).cost > entropy + 1e-8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_of_ten_thousand_are_judged_exactly(dtype):
    X, y = np.asarray([[1e4], [-1e4], [1e4], [-1e4]], dtype=dtype), np.asarray([1, 0, 0, 1])
    assert judge(X, y, np.ones((1, 1)), np.zeros(1), 0.0).cost == 5e3
    three = np.asarray([[1.0, 0.0, -1.0]])
    assert judge(X, np.asarray([0, 2, 1, 0]), three, np.zeros(3), 0.0).cost == (1e4 + 2e4) / 4


def test_the_judge_proves_how_far_an_answer_is_from_the_minimum(small):
    best = answer_of("scikit-learn newton-cholesky", small)
    least = judge(small.X, small.y, best.w, best.b, small.l2)
    assert least.bound <= 1e-12 * least.cost
    rng = np.random.default_rng(0)
    for scale in (1e-3, 0.1, 1.0, 10.0):
        w, b = best.w + scale * rng.standard_normal(best.w.shape), best.b + scale * rng.standard_normal(1)
        verdict = judge(small.X, small.y, w, b, small.l2)
        assert least.cost < verdict.cost <= least.cost + verdict.bound


def test_the_bound_holds_for_many_classes():
    X, y = gaussian(300, 3, 4, K=4)
    problem = Problem("", X, y, 1e-2, "", 4, ())
    best = answer_of("scikit-learn newton-cholesky", problem)
    least = judge(X, y, best.w, best.b, 1e-2)
    assert least.bound <= 1e-11 * least.cost
    w, b = best.w + 0.1, best.b + np.asarray([3.0, 0.0, -3.0, 0.0])
    verdict = judge(X, y, w, b, 1e-2)
    assert least.cost < verdict.cost <= least.cost + verdict.bound


@pytest.mark.parametrize("spoil", [lambda w, b: (-w, b), lambda w, b: (w, -b - 1), lambda w, b: (0 * w, b)])
def test_a_wrong_answer_is_caught(small, spoil):
    best = answer_of("scikit-learn newton-cholesky", small)
    right = judge(small.X, small.y, best.w, best.b, small.l2)
    assert judge(small.X, small.y, *spoil(best.w, best.b), small.l2).cost > right.cost * 1.01


def test_parameters_that_are_none_are_refused(small):
    w, b = np.zeros((4, 1)), np.zeros(1)
    assert judge(small.X, small.y, w + np.nan, b, 0.0) == (math.inf, math.inf)
    for wrong in ((w.T, b), (w[:3], b), (w, np.zeros(2)), (np.zeros((4, 3)), np.zeros(3))):
        with pytest.raises(ValueError, match=r"w must be \(4, 1\)"):
            judge(small.X, small.y, *wrong, 0.0)


def test_two_libraries_confirm_a_minimum_and_one_alone_does_not():
    assert agreement({"a": 1.0, "b": 1.0 + 5e-11, "c": 1.1}) == (1.0, ["a", "b"])
    assert agreement({"a": 1.0, "b": 1.0 + 5e-10}) == (1.0, ["a"])


# competitors and problems


def test_no_competitor_takes_more_than_sixty_lines():
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "benchmarks/competitors").glob("*.py")}
    assert len(lengths) > 10
    assert max(lengths.values()) <= 60, lengths


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMPETITORS]
)
@pytest.mark.parametrize(("K", "l2"), [(2, 1 / 400), (3, 1 / 400), (2, 0.0)])
def test_every_competitor_minimises_what_the_judge_judges(name, K, l2, tmp_path):
    competitor = COMPETITORS[name]
    if competitor.missing():
        pytest.skip(reason=competitor.missing())
    X, y = gaussian(400, 4, 3, K=K, dtype="float32" if competitor.referee else "float64")
    problem = Problem("", X, y, l2, "", 3, ())
    if competitor.refuses(problem):
        pytest.skip(reason=f"{name}: {competitor.refuses(problem)}")
    if competitor.environment:  # before anything is imported: a process of its own
        problems.write(problem, tmp_path)
        cost = contest(competitor, tmp_path, 1, Limits(60.0, 0.1), math.inf)["points"][-1]["cost"]
    else:
        found = answer_of(name, problem)
        cost = judge(X, y, found.w, found.b, l2).cost
    best = answer_of("scikit-learn newton-cg", problem)
    assert cost <= judge(X, y, best.w, best.b, l2).cost * (1.02 if name in ROUGH else 1.0001)


def test_what_is_not_installed_is_missing_with_a_reason():
    absent = Competitor("absent", "absent", ("no_such_library.at_all", "numpy"), lambda p: p, lambda d: d)
    assert absent.missing() == "no_such_library not installed"
    assert COMPETITORS[OURS].missing() == ""


def test_a_missing_library_is_listed_and_the_others_go_on(tmp_path, capsys):
    path = tmp_path / "league.jsonl"
    absent = Competitor("absent", "absent", ("no_such_library",), lambda p: p, lambda d: d)
    League([], [absent], Limits(), path).run({})
    assert "missing: absent: no_such_library not installed" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_problem_from_a_folder(tmp_path):
    first, second = problems.make("small"), problems.make("small")
    assert np.array_equal(first.X, second.X)
    problems.write(first, tmp_path)
    again = problems.read(tmp_path)
    assert np.array_equal(again.X, second.X)
    assert (again.l2, again.seed, again.tags, again.C) == (first.l2, 1, first.tags, pytest.approx(1.0))


def test_problems_are_what_they_are_called():
    assert len(problems.RECIPES) > 30
    assert sum("one core" in recipe.tags for recipe in problems.RECIPES.values()) == 22
    shifted, raw = problems.make("shifted"), problems.make("raw units")
    assert np.all(np.abs(shifted.X.mean(axis=0) - 2020) < 0.1)
    assert np.ptp(np.log10(raw.X.std(axis=0))) > 7.5
    rare = problems.make("rare positives")
    assert 0.001 < rare.y.mean() < 0.02
    X = problems.make("condition 1e4").X
    assert 5e3 < np.linalg.cond(X) < 2e4


# loaders


@pytest.mark.parametrize("name", ["HIGGS", "SUSY"])
def test_the_label_comes_first_in_higgs_and_susy(name, tmp_path):
    path = tmp_path / f"{name}.csv"
    path.write_text("1.000000000000000000e+00,8.692932e-01,-6.350818e-01\n0.0,9.075421e-01,3.291473e-01\n")
    X, y = loaders.load(name, str(path))
    assert X.dtype == np.float32
    np.testing.assert_allclose(X, [[0.8692932, -0.6350818], [0.9075421, 0.3291473]], rtol=1e-6)
    assert y.tolist() == [1, 0]


def test_the_kind_of_forest_comes_last_in_covtype(tmp_path):
    path = tmp_path / "covtype.data"
    path.write_text("2596,51,3,5\n2590,56,2,2\n2804,139,9,7\n")
    X, y = loaders.load("covtype", str(path))
    assert X.tolist() == [[2596, 51, 3], [2590, 56, 2], [2804, 139, 9]]
    assert y.tolist() == [1, 0, 2]


def test_epsilon_is_dense_whatever_its_text_leaves_out(tmp_path):
    path = tmp_path / "epsilon_normalized"
    path.write_text("-1 1:0.5 2:-0.25 3:0.125\n1 1:0.75 3:1e-3\n")
    X, y = loaders.load("epsilon", str(path))
    np.testing.assert_allclose(X, [[0.5, -0.25, 0.125], [0.75, 0, 1e-3]], rtol=1e-6)
    assert y.tolist() == [0, 1]


def test_arrays_come_from_files_and_must_fit_together(tmp_path):
    names = [str(tmp_path / name) for name in ("X.npy", "Y.npy")]
    np.save(names[0], np.arange(6).reshape(3, 2))
    np.save(names[1], np.asarray(["cat", "dog", "cat"]))
    X, y = loaders.load(*names)
    assert (X.dtype, y.tolist()) == (np.float64, [0, 1, 0])
    np.save(names[1], np.zeros(2))
    with pytest.raises(ValueError, match="X must be"):
        loaders.load(*names)
    np.save(names[1], np.zeros(3))
    with pytest.raises(ValueError, match="two classes"):
        loaders.load(*names)


# clocks and processes


def test_three_repetitions_unless_there_is_no_time_for_them():
    assert len(list(repeat(lambda: None, lambda: None, left=9.0, enough=0.0))) == 3
    assert len(list(repeat(lambda: None, lambda: None, left=-1.0))) == 1


def test_a_pair_is_measured_setting_by_setting_until_it_is_near_enough(small):
    best = answer_of("scikit-learn newton-cholesky", small)
    settings = tuple({"step": number} for number in range(4))
    away = {0: 1.0, 1: 0.1, 2: 0.0, 3: 0.0}
    competitor = Competitor(
        "fake", "fake", (), lambda p: p, lambda data, step: Answer(best.w + away[step], best.b), settings
    )
    lines: list[dict] = []
    measure(competitor, small, math.inf, Limits(30.0, 1.0), lines.append)
    points = [line for line in lines if "setting" in line]
    assert [point["setting"]["step"] for point in points] == [0, 1, 2]
    assert points[0]["cost"] > points[1]["cost"] > points[2]["cost"]
    assert all(point["seconds"].count >= 3 for point in points)
    assert {"first call", "MB"} <= {key for line in lines for key in line}


def test_a_process_that_sleeps_is_killed_and_one_that_fails_says_why(tmp_path):
    (tmp_path / "sleeper.py").write_text("import time\nprint('{\"begin\": 1}', flush=True)\ntime.sleep(60)\n")
    (tmp_path / "failer.py").write_text("raise ValueError('no such luck')\n")
    path = {"PYTHONPATH": str(tmp_path)}
    assert list(ask(["sleeper"], 1, 1.0, path)) == [{"begin": 1}, {"end": "killed after 1 s"}]
    assert list(ask(["failer"], 1, 9.0, path)) == [{"end": "failed: ValueError: no such luck"}]


SLEEPER = """
import time
from benchmarks.contest import Competitor

def fit(data):
    time.sleep(60)

COMPETITORS = [Competitor("sleeper", "sleeper", (), lambda problem: problem, fit)]
"""


@pytest.mark.slow
def test_the_league_runs_goes_on_and_is_reported(tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    path, names = tmp_path / "league.jsonl", [OURS, "scikit-learn newton-cholesky", "sleeper"]
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--problem", "small", "--cap", "8", "--budget", "3"]
    command += ["--results", path]
    environment = {**os.environ, "LEAGUE_COMPETITORS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    for expected in ("3 pairs", "0 pairs"):
        options = {"cwd": ROOT, "env": environment, "text": True, "capture_output": True, "check": True}
        assert expected in subprocess.run([*command, "--competitor", *names], **options).stdout
    records = {record["competitor"]: record for record in read_records(path)}
    assert records["sleeper"]["end"] == "killed after 8 s"
    assert records["sleeper"]["points"] == []
    assert len(read_runs(path)) == 1
    (standing,) = standings(list(records.values()))
    assert standing.minimum.libraries == ["scikit-learn", "xlogreg"]
    assert standing.ratio("scikit-learn newton-cholesky", 1e-6) > 0
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- ratios -->\nold\n<!-- /ratios -->\nafter\n")
    report.main(["--results", str(path), "--readme", str(readme), "--pictures", str(tmp_path / "pictures")])
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "killed after 8 s" in text
    assert "old" not in text
    assert (tmp_path / "pictures" / "seconds.png").stat().st_size > 1000


# the rule and its parts, and copies at once


def test_cells_of_the_grid_are_the_same_for_every_run_and_have_a_minimum():
    cells = rule.drawn(52)
    assert len(set(cells)) == 52
    assert sum(cell.K > 2 for cell in cells) == 12
    assert set(rule.drawn(13)) < set(cells)
    assert all(cell.l2 > 0 or cell.m >= 20 * cell.n_x for cell in cells)


@pytest.mark.parametrize("part", rule.PARTS)
def test_a_part_of_the_rule_can_be_forced(part, small):
    answer, solver = rule.ours(small.X, small.y, small.l2, part)
    assert solver == part
    exact = answer_of("xlogreg numpy float64", small)
    np.testing.assert_allclose(answer.w, exact.w, rtol=1e-4)


def test_wide_data_are_fitted_in_their_span_by_the_parts_that_draw_no_subset():
    X, y = gaussian(30, 200, 1)
    assert not rule.can("sampled-newton", rule.Cell(200, 500, 1.0, 1.0, 1.0))
    assert rule.ours(X, y, 1 / 30, "rent-or-buy")[1] == "rent-or-buy"


@pytest.mark.slow
def test_the_best_part_is_never_slower_than_the_rule(monkeypatch):
    monkeypatch.setattr(rule, "HOPELESS", 1e9)  # no rival is left out on a busy machine
    cell = rule.measure(rule.Cell(200, 5, 1.0, 1.0, 1.0))
    assert cell[rule.PART] >= 1
    assert cell["reached"]
    assert cell["parts"].keys() == set(rule.PARTS)
    assert len(cell["rivals"]) == 3
    assert rule.summary([cell])[rule.RIVAL]["cells"] == 1


def test_a_path_is_the_same_on_both_sides_of_the_load_test(small):
    l2s = [10 / 400, 1 / 400]
    ours, theirs = load.ours(small.X, small.y, l2s), load.theirs(small.X, small.y, l2s, "newton-cholesky", 1e-8)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.w, other.w, rtol=1e-4)
    assert not np.allclose(ours[0].w, ours[1].w, rtol=1e-2)


def test_copies_fit_a_folder_of_pictures_that_the_command_can_tell_apart(tmp_path):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    folder = tmp_path / "pictures"
    load.write_pictures(folder)
    assert [len(list((folder / str(which)).iterdir())) for which in range(3)] == [40, 40, 40]
    load.fit_pictures(str(folder))
    (path,) = tmp_path.glob("*.model")
    assert len(xlogreg.load(path).classes) == 3


@pytest.mark.slow
def test_copies_start_together_and_the_slowest_counts():
    seconds, fits = load.together(2, "500 x 10", ("newton-cholesky", 1e-4), "", 2)
    assert seconds > 0
    assert fits == 2


@pytest.mark.slow
def test_of_a_cross_validation_the_loosest_tol_counts_that_comes_near_enough(monkeypatch):
    monkeypatch.setitem(many.CASES, "tiny", lambda: many.folded(200, 3))
    monkeypatch.setattr(many, "PAUSE", 0.0)
    found = many.measure("tiny", repeats=1)
    for rival in ("newton-cholesky", "lbfgs"):
        assert found[f"LogisticRegressionCV, {rival}, models compared"] == 51
        assert found[f"LogisticRegressionCV, {rival}, worse by"] <= 1e-12
    case = many.CASES["tiny"]()
    loose = many.cross_validated(LogisticRegressionCV, solver="lbfgs", tol=0.1)(case)[0]
    tight = many.cross_validated(LogisticRegressionCV, solver="lbfgs", tol=1e-8)(case)[0]
    exact = many.cross_validated(xlogreg.LogisticRegressionCV)(case)[0]
    assert many.near(case, tight, exact)
    assert not many.near(case, loose, exact)


# results


def record(competitor, library, *points, problem="tall", **more):
    """Points of seconds and cost."""
    traits = {"m": 100, "n_x": 5, "K": 2, "dtype": "float64", "tags": []}
    made = [
        {
            "setting": {},
            "looser": False,
            "seconds": [s, s, s, 3],
            "cost": c,
            "bound": None,
            "iterations": 1,
            "passes": 7,
        }
        for s, c in points
    ]
    head = {"problem": problem, "competitor": competitor, "library": library, "threads": 2, "referee": False}
    return {**head, **traits, "points": made, "end": "", **more}


def test_ours_is_ranked_at_its_defaults_and_rivals_at_their_best():
    (standing,) = standings(
        [
            record(OURS, "xlogreg", (2.0, 1.0), (1.0, 1.0)),
            record("fast", "a", (0.5, 1.1), (1.0, 1 + 1e-7), (4.0, 1.0)),
            record("far", "b", (0.1, 2.0)),
        ]
    )
    assert standing.seconds(OURS, 1e-6)[0] == 2.0
    assert standing.ratio("fast", 1e-6) == 0.5
    assert standing.ratio("fast", 1e-9) == 2.0
    assert standing.ratio("far", 1e-6) is None
    assert standing.nearest("far") == 1.0
    assert standing.best_rival(1e-6) == "fast"
    assert standing.minimum.libraries == ["a", "xlogreg"]
    assert report.cell(standing, "far", 1e-6) == "gap 1e+00"
    assert report.cell(standing, "fast", 1e-6) == "**0.5**"


def test_a_minimum_that_only_ours_found_is_marked_and_the_worst_problem_comes_first():
    found = standings(
        [
            record(OURS, "xlogreg", (1.0, 1.0), problem="easy"),
            record("rival", "a", (9.0, 1.0 + 1e-8), problem="easy"),
            record(OURS, "xlogreg", (1.0, 1.0), problem="hard"),
            record("rival", "a", (0.1, 1.0), problem="hard"),
        ]
    )
    assert [standing.problem for standing in found] == ["hard", "easy"]
    assert str(found[1].minimum) == "UNCONFIRMED, xlogreg alone"
    assert "| a | 2 of 2 | 0.1 (hard) | 4.5 |" in report.libraries(found)


def test_where_we_miss_the_mark_it_is_a_loss():
    (standing,) = standings([record(OURS, "xlogreg", (1.0, 1.1)), record("rival", "a", (9.0, 1.0))])
    assert standing.worst(1e-6) == 0.0
    assert report.cell(standing, "rival", 1e-6) == "**ours misses**"
    assert "0 (tall)" in report.libraries([standing])


def test_the_newest_result_of_a_pair_counts(tmp_path):
    path = tmp_path / "league.jsonl"
    lines = [{"run": "now"}, record("rival", "a", (1.0, 2.0)), record("rival", "a", (1.0, 3.0))]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"problem": "cut')
    (kept,) = read_records(path)
    assert kept["points"][0]["cost"] == 3.0
    assert lowest([kept], "tall", "b") == 3.0
    assert lowest([kept], "tall", "a") == math.inf


def test_sections_are_written_between_their_markers_and_nowhere_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- league -->\nold\n<!-- /league -->\nb\n")
    report.replace(path, {"league": "new \\1", "other": "left out"})
    assert path.read_text() == "a\n<!-- league -->\n\nnew \\1\n\n<!-- /league -->\nb\n"


@pytest.mark.parametrize("readme", ["README.md", "benchmarks/README.md"])
def test_the_readmes_have_the_markers(readme):
    text = (ROOT / readme).read_text()
    names = ["league"] if readme == "README.md" else ["facts", "lost", "ratios", "times", "clocks", "families", "bars"]
    for name in names:
        assert text.count(f"<!-- {name} -->\n") == text.count(f"<!-- /{name} -->\n") == 1


# bars


def test_a_bar_takes_the_worst_number_and_the_first_name_that_is_there():
    results = {"cases": [{"case": "a", "rivals": [{"solver": "x", "ratio": 3.0}, {"solver": "y", "ratio": 5.0}]}]}
    bars = [
        at_least(4.0, "cases", "a", "rivals", EVERY, ("ratio at its gap", "ratio")),
        at_least(4.0, "cases", "a", "rivals", "y", "ratio"),
        at_most(4.0, "cases", "a", "rivals", EVERY, "ratio"),
        at_most(4.0, "cases", "b", "ratio"),
    ]
    assert [line.measured for line in check(bars, results)] == [3.0, 5.0, 5.0, None]
    assert [line.met for line in check(bars, results)] == [False, True, False, None]


@pytest.mark.parametrize("benchmark", [any_data, engine, estimators, many, memory], ids=lambda module: module.__name__)
def test_every_bar_finds_its_number_in_the_results(benchmark):
    results = report.newest(benchmark.__name__.partition(".")[2])
    found = check(benchmark.BARS, results)
    assert found
    assert not [line.name for line in found if line.met is None]


def test_the_command_refuses_names_that_are_none():
    with pytest.raises(SystemExit, match="no problem is named like nothing"):
        run.main(["--problem", "nothing"])
