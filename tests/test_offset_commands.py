"""The command line reads an offset from a column of the table, or from a file beside an array."""

import json

import numpy as np
import pytest
from test_commands import call, refused
from test_offset import K, M, draw, some_offset

import xlogreg

pl = pytest.importorskip("polars")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offsets")
    for k, name in ((1, "two"), (K, "three")):
        X, Y, _ = draw(k)
        offset = {f"o{number}": row for number, row in enumerate(some_offset(k))}
        features = {f"x{number}": row for number, row in enumerate(X)}
        pl.DataFrame({**features, **offset, "y": Y}).write_parquet(folder / f"{name}.parquet")
    np.save(folder / "X.npy", draw()[0].T)
    np.save(folder / "y.npy", draw()[1])
    np.save(folder / "offset.npy", some_offset()[0])
    return folder


@pytest.mark.parametrize(("name", "k"), [("two", 1), ("three", K)])
@pytest.mark.parametrize("options", [("--l2", "0.01"), ("--l2", "0.01", "--test-share", "0.25")])
def test_columns_are_the_offset_of_a_table(folder, name, k, options):
    columns = [word for number in range(k) for word in ("--offset", f"o{number}")]
    asked = ("--target", "y", *columns)
    done = call("fit", f"{name}.parquet", "-o", "model", *asked, *options, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    model = xlogreg.load(folder / "model")
    assert model.offset
    assert model.feature_names == ("x0", "x1", "x2", "x3")
    X, Y, _ = draw(k)
    if len(options) == 2:
        judge = xlogreg.fit(X, Y, l2=0.01, offset=some_offset(k), standardize=True)
        np.testing.assert_allclose(model.w, judge.w, atol=1e-6)
        judged = json.loads(call("evaluate", "model", f"{name}.parquet", *asked, "--json", folder=folder).stdout)
        assert judged["log_loss"] == pytest.approx(said["train"]["log_loss"], rel=1e-12)
    else:
        assert said["samples"] < M
        assert said["test"]["log_loss"] < np.log(max(k, 2))
    done = call("predict", "model", f"{name}.parquet", "-o", "found.parquet", "--ignore", "y", *columns, folder=folder)
    assert done.returncode == 0, done.stderr
    found = pl.read_parquet(folder / "found.parquet")["probability_1"].to_numpy()
    offset = some_offset(k)[0] if k == 1 else some_offset(k).T
    table = pl.read_parquet(folder / f"{name}.parquet").select("x0", "x1", "x2", "x3")
    np.testing.assert_allclose(found, model.predict_proba(table, offset)[:, 1], rtol=1e-9)


def test_a_file_is_the_offset_of_an_array(folder):
    asked = ("--target", "y.npy", "--offset", "offset.npy")
    done = call("fit", "X.npy", "-o", "plain", *asked, folder=folder)
    assert done.returncode == 0, done.stderr
    X, Y, _ = draw()
    np.testing.assert_allclose(xlogreg.load(folder / "plain").w, xlogreg.fit(X, Y, offset=some_offset()).w, atol=1e-9)
    assert call("evaluate", "plain", "X.npy", *asked, folder=folder).returncode == 0
    assert call("predict", "plain", "X.npy", "--offset", "offset.npy", "-o", "p.csv", folder=folder).returncode == 0
    assert "is one .npy file" in refused(
        "fit", "X.npy", "-o", "m", "--target", "y.npy", "--offset", "o0", folder=folder
    )


def test_what_is_wrong_with_an_offset_is_said_in_a_line(folder):
    asked = ("two.parquet", "--target", "y")
    assert "has no column 'exposure'" in refused("fit", *asked, "-o", "m", "--offset", "exposure", folder=folder)
    assert call("fit", *asked, "-o", "short", "--offset", "o0", folder=folder).returncode == 0
    said = "short was fitted with an offset: say with --offset where that of the samples is"
    assert refused("evaluate", "short", *asked, folder=folder) == said
    assert refused("predict", "short", "two.parquet", folder=folder) == said
    frame = pl.read_parquet(folder / "two.parquet")
    frame.with_columns(pl.lit("a").alias("o0")).write_parquet(folder / "text.parquet")
    text = refused("fit", "text.parquet", "--target", "y", "-o", "m", "--offset", "o0", folder=folder)
    assert "the column 'o0' cannot be an offset: it holds String, not numbers" in text
    frame.with_columns(pl.when(pl.col("x0") > 0).then(pl.col("o0")).alias("o0")).write_parquet(folder / "gaps.parquet")
    gaps = refused("fit", "gaps.parquet", "--target", "y", "-o", "m", "--offset", "o0", folder=folder)
    assert "the column 'o0' lacks" in gaps
    both = ("--offset", "o0", "--offset", "x0")
    two = refused("fit", *asked, "-o", "m", *both, folder=folder)
    assert "offset holds 2 numbers for each sample, but a model of 2 classes has 1 score" in two
