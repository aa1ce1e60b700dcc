"""What eight kinds of newcomers type on their first day: each task as a script, run from top to bottom."""

import runpy
import shlex
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

import xlogreg
from xlogreg.cli import main

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def typed(here, capsys):
    """Type lines of a shell, one after the other; return what the last one printed."""

    def run(lines):
        said = ""
        for line in dedent(lines).strip().splitlines():
            command, *arguments = shlex.split(line)
            assert command == "xlogreg"
            assert main(arguments) == 0, capsys.readouterr().err
            said = capsys.readouterr().out
        return said

    return run


def made_by(example, *arguments):
    """Run a script of examples/ in this process."""
    before, sys.argv = sys.argv, [example, *arguments]
    try:
        runpy.run_path(str(EXAMPLES / example), run_name="__main__")
    finally:
        sys.argv = before


def python(script):
    """Run a script; return its variables."""
    names: dict = {}
    exec(compile(dedent(script), "script", "exec"), names)
    return names


def test_a_user_of_scikit_learn_changes_one_import(here):
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    found = python("""
        from sklearn.compose import make_column_transformer
        from sklearn.datasets import load_breast_cancer
        from sklearn.linear_model import LogisticRegression as Theirs
        from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from xlogreg import LogisticRegression, load

        X, y = load_breast_cancer(return_X_y=True, as_frame=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression())
        search = GridSearchCV(pipeline, {"logisticregression__C": [0.01, 0.1, 1.0]}, scoring="neg_log_loss")
        search.fit(X_train, y_train)
        score = search.best_estimator_.score(X_test, y_test)
        mean = cross_val_score(pipeline, X, y).mean()
        ours = pipeline.fit(X, y)[-1]
        theirs = make_pipeline(StandardScaler(), Theirs(tol=1e-10, max_iter=1000)).fit(X, y)[-1]
        ours.save("cancer.model")
        again = load("cancer.model")
        same = (again.predict(pipeline[:-1].transform(X)) == pipeline.predict(X)).all()
    """)
    assert found["score"] > 0.95
    assert found["mean"] > 0.95
    assert found["same"]
    np.testing.assert_allclose(found["ours"].coef_, found["theirs"].coef_, rtol=1e-4, atol=1e-5)
    assert found["ours"].fit_info_.gap <= 1e-12


def test_a_statistician_reads_a_table_of_coefficients(here):
    pytest.importorskip("pandas", reason="reads a table with pandas")
    pytest.importorskip("formulaic", reason="writes a formula")
    made_by("passengers.py", "passengers.csv")
    found = python("""
        import pandas
        import xlogreg

        people = pandas.read_csv("passengers.csv").dropna()
        large = xlogreg.fit_formula("Outcome ~ Sex + C(Class) + Age", people)
        small = xlogreg.fit_formula("Outcome ~ Sex + C(Class)", people)
        table = str(large.summary())
        age = xlogreg.likelihood_ratio_test(small, large)
        robust = large.covariance_of(people, kind="HC1")
        wide = large.summary(covariance=robust)
    """)
    assert "odds ratio" in found["table"]
    assert found["age"].p < 0.05  # the list is made so
    assert str(found["wide"]) != found["table"]


@pytest.mark.filterwarnings("ignore::xlogreg.BackendFallbackWarning")
def test_an_owner_of_a_gpu_probes_the_features_of_a_network(here):
    found = python("""
        import numpy as np
        import xlogreg

        rng = np.random.default_rng(0)
        features = rng.standard_normal((2000, 64)).astype(np.float32)  # rows, as networks leave them
        labels = np.argmax(features[:, :10] + rng.gumbel(size=(2000, 10)), axis=1)
        chosen = xlogreg.fit_cv(features, labels, np.logspace(-1, -5, 5), samples="rows", backend="cupy", tol=1e-6)
        path = xlogreg.fit_path(features, labels, np.logspace(-1, -5, 5), samples="rows", tol=1e-6)
    """)
    assert found["chosen"].model.w.shape == (64, 10)
    assert found["chosen"].model.w.dtype == np.float32
    assert found["path"].w.shape == (5, 64, 10)


def test_an_analyst_goes_from_a_table_to_predictions(typed, here):
    polars = pytest.importorskip("polars", reason="the command line needs polars")
    made_by("passengers.py", "passengers.csv")
    said = typed("""
        xlogreg fit passengers.csv --target Outcome --test-share 0.2 -o passengers.model
        xlogreg evaluate passengers.model passengers.csv
        xlogreg predict passengers.model passengers.csv --keep Id -o predictions.csv
        xlogreg show passengers.model
    """)
    assert "Sex=female" in said
    predictions = polars.read_csv("predictions.csv")
    assert predictions.columns[:2] == ["Id", "prediction"]
    assert predictions.height == 900


def test_a_photographer_tells_pictures_apart(typed, here):
    polars = pytest.importorskip("polars", reason="the command line needs polars")
    pytest.importorskip("sklearn", reason="cuts its photographs")
    made_by("cut_photographs.py", "pictures")
    typed("""
        xlogreg images fit pictures -o pictures.model --size 16 --report report.png
        xlogreg images evaluate pictures.model pictures
        xlogreg images predict pictures.model pictures -o predictions.csv
    """)
    predictions = polars.read_csv("predictions.csv")
    assert predictions.columns == ["file", "prediction", "probability_flower", "probability_temple"]
    assert Path("report.png").stat().st_size > 10_000


def test_a_student_writes_the_loop_of_the_notes(here):
    found = python("""
        import numpy as np
        import xlogreg
        from xlogreg import graph
        from xlogreg.graph import Variable

        rng = np.random.default_rng(0)
        X = rng.standard_normal((2, 200))
        Y = (X[:1] - X[1:] + rng.logistic(size=(1, 200)) > 0).astype(float)
        w, b = np.zeros((2, 1)), np.zeros((1, 1))

        def J(w, b):
            Z, A = xlogreg.forward(X, w, b)
            return xlogreg.cost(Z, Y)

        Z, A = xlogreg.forward(X, w, b)
        dw, db = xlogreg.gradients(X, A, Y)
        check = xlogreg.check_gradients(J, (dw, db), w, b)
        for step in range(300):
            Z, A = xlogreg.forward(X, w, b)
            dw, db = xlogreg.gradients(X, A, Y)
            w, b = xlogreg.update(w, dw, 1.0), xlogreg.update(b, db, 1.0)
        best = xlogreg.fit(X, Y)

        z = Variable(0.5, "w") * 2.0 + Variable(-1.0, "b")
        slopes = graph.sigmoid(z).backward(), np.exp(z).backward()
    """)
    assert found["check"]
    np.testing.assert_allclose(found["w"], found["best"].w, rtol=1e-3)
    assert found["slopes"] == ({"dw": 0.5, "db": 0.25}, {"dw": 2.0, "db": 1.0})


def test_a_keeper_of_large_files_fits_them_where_they_lie(here, capsys):
    found = python("""
        import numpy as np
        import xlogreg

        rng = np.random.default_rng(0)
        labels = []
        for part in range(3):
            X = rng.standard_normal((4000, 8))
            np.save(f"part{part}.npy", X)
            labels.append(X[:, 0] - X[:, 1] + rng.logistic(size=4000) > 0)
        X = xlogreg.open_parts(".")
        Y = np.concatenate(labels)
        model = xlogreg.fit(X, Y, samples="rows", time_limit=60, verbose=1)
        chosen = xlogreg.fit_cv(X, Y, [1e-2, 1e-4], samples="rows", time_limit=60, verbose=1)
        report = model.evaluate(X, Y)
    """)
    assert found["model"].fit_info.converged
    assert found["report"].accuracy > 0.7
    assert "fit_cv" in capsys.readouterr().err


def test_an_engineer_serves_a_pipeline(here):
    pytest.importorskip("skl2onnx", reason="converts a pipeline")
    pytest.importorskip("onnxruntime", reason="runs what was converted")
    found = python("""
        import numpy as np
        import onnxruntime
        import xlogreg
        from sklearn.datasets import load_iris
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        X, y = load_iris(return_X_y=True)
        pipeline = make_pipeline(StandardScaler(), xlogreg.LogisticRegression()).fit(X, y)
        served = onnxruntime.InferenceSession(xlogreg.to_onnx(pipeline).SerializeToString())
        labels, probabilities = served.run(None, {served.get_inputs()[0].name: X})
    """)
    assert (found["labels"] == found["pipeline"].predict(found["X"])).all()
    np.testing.assert_allclose(found["probabilities"], found["pipeline"].predict_proba(found["X"]), rtol=1e-12)


BLOCKS = np.arange(6.0).reshape(6, 1), np.asarray([0, 1, 0, 1, 1, 0])
MISTAKES = {
    "a factory that was called": (
        lambda: xlogreg.fit((block for block in [BLOCKS]), samples="rows"),
        r"X is a generator, which can be read once only.*fit\(blocks\) and not fit\(blocks\(\)\)",
    ),
    "the name of a folder": (lambda: xlogreg.fit("parts", BLOCKS[1]), r"X is a name, not data.*open_parts\('folder'\)"),
    "the name of a column": (lambda: xlogreg.fit(BLOCKS[0], "died", samples="rows"), r"Y is a name, .*frame\['y'\]"),
    "a number": (lambda: xlogreg.sigmoid(0.0), r"expected an array, such as np.asarray\(\[0.5\]\), not float"),
    "a list": (lambda: xlogreg.cost([[0.0]], [[1.0]]), r"expected an array, .*, not list"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_an_error_of_the_first_day_says_what_to_write_instead(mistake):
    call, said = MISTAKES[mistake]
    with pytest.raises(TypeError, match=said):
        call()


def test_a_model_that_is_saved_into_no_folder_names_the_folder(here):
    model = xlogreg.fit(BLOCKS[0], BLOCKS[1], samples="rows", l2=1.0)
    with pytest.raises(FileNotFoundError, match=r"none'$"):
        model.save("none/fit.model")


def test_a_target_that_no_part_has_is_named_beside_the_columns(here):
    pandas = pytest.importorskip("pandas", reason="writes parts")
    pytest.importorskip("pyarrow", reason="reads parts")
    pandas.DataFrame({"age": [1.0], "died": [0]}).to_parquet("0.parquet")
    with pytest.raises(ValueError, match=r"has no column 'dead' \(target\); it has 'age', 'died'"):
        xlogreg.open_parts(".", target="dead")


def test_text_in_a_frame_leads_to_categorical_features():
    pandas = pytest.importorskip("pandas", reason="makes a frame")
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    frame = pandas.DataFrame({"age": BLOCKS[0][:, 0], "city": list("aabbab")})
    with pytest.raises(ValueError, match=r"could not convert string to float: 'a'.*categorical_features="):
        xlogreg.LogisticRegression().fit(frame, BLOCKS[1])
    with pytest.raises(ValueError, match=r"does not have: 'City'; it has 'age', 'city'"):
        xlogreg.LogisticRegression(categorical_features=["City"]).fit(frame, BLOCKS[1])


@pytest.mark.parametrize(
    "command",
    ["fit", "predict", "evaluate", "show", "demo", "info", "images"]
    + [f"images {verb}" for verb in ("fit", "predict", "evaluate", "list")],
)
def test_the_help_of_a_command_ends_with_an_example(command, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"  xlogreg {command}")
