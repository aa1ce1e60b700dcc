"""The command line on a table as it stands, against a pipeline of scikit-learn that a careful user would write."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from test_commands import call

from xlogreg.fitting.held_out import split

pl = pytest.importorskip("polars")
pytest.importorskip("sklearn")

EXAMPLE = Path(__file__).parent.parent / "examples" / "passengers.py"
SHARE = 0.25
NUMBERS, CATEGORIES = ["Age", "Fare"], ["Sex", "Class", "Port"]


@pytest.fixture
def folder(tmp_path):
    runpy.run_path(str(EXAMPLE))["main"](str(tmp_path / "passengers.csv"))
    return tmp_path


def judged_by_scikit_learn(table, seed):
    """Log loss on the rows to test with, for the same split."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = make_column_transformer((filled, NUMBERS), (OneHotEncoder(handle_unknown="ignore"), CATEGORIES))
    pipeline = make_pipeline(columns, LogisticRegressionCV(scoring="neg_log_loss", max_iter=1000))
    X, Y = table.select(NUMBERS + CATEGORIES).to_pandas(), table["Outcome"].to_numpy()
    train, test = split(Y, SHARE, np.random.default_rng(seed))
    pipeline.fit(X.iloc[train], Y[train])
    return log_loss(Y[test], pipeline.predict_proba(X.iloc[test]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # scikit-learn's, about its own defaults
def test_a_table_as_it_stands_is_fitted_as_well_as_by_a_pipeline(folder):
    pytest.importorskip("pandas")
    table = pl.read_csv(folder / "passengers.csv")
    ours, theirs = [], []
    for seed in range(10):
        asked = ("--target", "Outcome", "--test-share", SHARE, "--seed", seed, "--json")
        ours.append(json.loads(call("fit", "passengers.csv", *asked, folder=folder).stdout)["test"]["log_loss"])
        theirs.append(judged_by_scikit_learn(table, seed))
    assert abs(np.mean(ours) - np.mean(theirs)) < 0.005
