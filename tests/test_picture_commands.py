"""From a folder of pictures to predictions on the command line."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_commands import call, refused, run

import xlogreg
from xlogreg import images
from xlogreg.cli import pictures as picture_commands
from xlogreg.cli.picture_samples import PictureSamples
from xlogreg.images import files as picture_files

Image = pytest.importorskip("PIL.Image")
EXAMPLE = Path(__file__).parent.parent / "examples" / "cut_photographs.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 pictures, reddish or bluish, of which noise makes some hard to tell; and files that are no pictures."""
    folder = tmp_path_factory.mktemp("commands")
    rng = np.random.default_rng(0)
    for number in range(40):
        name = ("blue", "red")[number % 2]
        pixels = rng.integers(0, 200, (9, 12, 3))
        pixels[..., 0 if name == "red" else 2] += 20
        (folder / "colours" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "colours" / name / f"{number:02}.png")
    (folder / "colours" / "red" / "bad\n\x1b[31m.jpg").write_bytes(b"")
    (folder / "colours" / "list.txt").write_text("red, blue")
    return folder


FIT = ("images", "fit", "colours", "--size", "6")


@pytest.fixture(scope="module")
def model(folder):
    done = run(*FIT, "-o", "colours.model", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "colours.model", done.stdout


def test_fit_chooses_the_penalty_and_tells_all_there_is_to_know(model):
    said = model[1]
    for text in (
        "colours: 32 pictures of 6 x 6 x 3, classes blue, red",
        "chosen by cross-validation on 5 folds: the smallest log loss",
        "converged after",
        "\ntrain: accuracy ",
        "\ntest: accuracy ",
        "skipped 2:\n  colours/list.txt: not in the folder of a class\n  colours/red/bad\\n\\x1b[31m.jpg: empty\n",
        "\nmodel written to colours.model\n",
    ):
        assert text in said
    assert "\x1b" not in said
    assert said.count("*") == 1
    chosen = next(line for line in said.splitlines() if line.endswith("*")).split()[0]
    assert f"penalty l2 {chosen}, chosen by" in said


def test_the_model_is_that_of_the_library(folder, model):
    found = images.load_folder(folder / "colours", 6)
    train, test = picture_commands.split(found.Y[0], 0.2, np.random.default_rng(0))
    assert (len(train), len(test)) == (32, 8)
    part = found.take(train)
    chosen = xlogreg.fit_cv(part.X, part.Y, picture_commands.PENALTIES, standardize=255)
    np.testing.assert_allclose(xlogreg.load(model[0]).w, chosen.model.w, rtol=1e-5)


def test_fit_prints_one_json_object_with_all_of_it(folder):
    done = call(*FIT, "-o", "json.model", "--json", "--seed", "3", folder=folder)
    said = json.loads(done.stdout)
    assert done.stderr == ""
    assert said["l2"] in said["cross_validation"]["l2"]
    assert len(said["cross_validation"]["log_loss"]) == len(said["cross_validation"]["l2"])
    assert said["samples"] + sum(map(sum, said["test"]["confusion"])) == 40
    assert said["fit"]["converged"] is True
    assert [entry["reason"] for entry in said["skipped"]] == ["not in the folder of a class", "empty"]
    given = json.loads(call(*FIT, "-o", "json.model", "--json", "--l2", "0.5", folder=folder).stdout)
    assert (given["l2"], given["cross_validation"]) == (0.5, None)


def test_all_pictures_are_trained_on_without_a_share_to_test_with(folder):
    said = json.loads(call(*FIT, "-o", "all.model", "--json", "--l2", "1", "--test-share", "0", folder=folder).stdout)
    assert said["samples"] == 40
    assert "test" not in said


def test_predictions_are_one_line_for_each_picture(folder, model):
    names = ["colours/red/01.png", "colours/blue/02.png"]
    done = run("images", "predict", model[0], *names, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    found = images.load_folder(folder / "colours", 6)
    numbers = [list(map(str, found.files)).index(str(folder / name)) for name in names]
    A = xlogreg.load(model[0]).predict_proba(found.X[:, numbers])
    assert [line[0] for line in lines] == names
    assert [line[1] for line in lines] == [("blue", "red")[k] for k in np.argmax(A, axis=0)]
    assert [line[2] for line in lines] == [f"{p:.4f}" for p in np.max(A, axis=0)]
    said = json.loads(call("images", "predict", model[0], *names, "--json", folder=folder).stdout)
    assert [entry["class"] for entry in said["predictions"]] == [line[1] for line in lines]
    assert said["skipped"] == []


BAD = "colours/red/bad\n\x1b[31m.jpg"


def test_named_files_that_cannot_be_read_are_an_error_after_the_others_are_predicted(folder, model):
    names = ("colours/red/01.png", "none.png", BAD)
    done = call("images", "predict", model[0], *names, folder=folder)
    assert done.returncode == 1
    assert done.stderr == "xlogreg images: none.png: No such file or directory, and 1 more\n"
    assert len(done.stdout.splitlines()) == 1
    done = call("images", "predict", model[0], *names, "--json", folder=folder)
    assert [entry["reason"] for entry in json.loads(done.stdout)["skipped"]] == ["No such file or directory", "empty"]
    assert refused("images", "predict", model[0], names[-1], folder=folder) == "colours/red/bad\\n\\x1b[31m.jpg: empty"


def test_folders_are_predicted_whole_and_what_is_skipped_in_them_is_no_error(folder, model):
    done = call("images", "predict", model[0], "colours", "colours/red/01.png", folder=folder)
    assert done.returncode == 0
    assert done.stderr.startswith(
        "skipped 2:\n  colours/list.txt: no picture of the formats PNG, JPEG, BMP, GIF, WEBP, TIFF, HEIC\n  colours"
    )
    found = images.load_folder(folder / "colours", 6)
    files = [str(file.relative_to(folder)) for file in found.files]
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [*files, "colours/red/01.png"]
    listed = call("images", "list", "colours", "colours/red/01.png", folder=folder)
    assert (listed.returncode, listed.stderr) == (0, done.stderr)
    assert listed.stdout.splitlines() == [*files, "colours/red/01.png"]
    said = json.loads(call("images", "list", "colours/blue", "--json", folder=folder).stdout)
    assert (said["files"], said["skipped"]) == ([file for file in files if "blue" in file], [])
    for action in (("predict", model[0]), ("list",)):
        assert refused("images", *action, "colours", "--strict", folder=folder).startswith(
            "colours/list.txt: no picture"
        )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_has_a_row_for_each_picture_and_a_column_for_each_class(folder, model, tmp_path, suffix):
    polars = pytest.importorskip("polars")
    done = call("images", "predict", model[0], "colours", "-o", tmp_path / f"p.{suffix}", folder=folder)
    assert done.stdout == f"predictions of 40 pictures written to {tmp_path}/p.{suffix}\n"
    table = getattr(polars, f"read_{suffix}")(tmp_path / f"p.{suffix}")
    assert table.columns == ["file", "prediction", "probability_blue", "probability_red"]
    found = images.load_folder(folder / "colours", 6)
    assert table["file"].to_list() == [str(file.relative_to(folder)) for file in found.files]
    fitted = xlogreg.load(model[0])
    np.testing.assert_array_equal(table["prediction"].to_numpy(), fitted.predict(found.X)[0])
    np.testing.assert_allclose(table[:, 2:].to_numpy(), fitted.predict_proba(found.X).T, rtol=1e-6)


def test_no_more_than_a_block_of_pictures_is_held(folder, model, monkeypatch):
    whole = call("images", "predict", model[0], "colours", folder=folder)
    monkeypatch.setattr(picture_files, "BLOCK_BYTES", 5 * 3 * 6 * 6)
    held, read = [], picture_files.read_pictures
    monkeypatch.setattr(
        picture_files, "read_pictures", lambda files, size: held.append(len(files)) or read(files, size)
    )
    done = call("images", "predict", model[0], "colours", folder=folder)
    assert held == [5] * 8 + [2]
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        line.split()[:2] for line in whole.stdout.splitlines()
    ]


def test_a_name_that_is_no_text_or_a_formula_is_written(folder, model, tmp_path):
    polars = pytest.importorskip("polars")
    picture = (folder / "colours" / "red" / "01.png").read_bytes()
    for name in (b"caf\xe9.png", b"=1+1.png"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(picture)
    assert call("images", "predict", model[0], tmp_path, "-o", tmp_path / "p.csv", folder=folder).returncode == 0
    assert polars.read_csv(tmp_path / "p.csv")["file"].to_list() == [
        f"{tmp_path}/=1+1.png",
        f"{tmp_path}/caf\\udce9.png",
    ]
    assert call("images", "predict", model[0], "=1+1.png", "-o", "q.csv", folder=tmp_path).returncode == 0
    assert polars.read_csv(tmp_path / "q.csv")["file"].to_list() == ["'=1+1.png"]


def test_evaluate_judges_a_folder(folder, model):
    done = run("images", "evaluate", model[0], "colours", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found = images.load_folder(folder / "colours", 6)
    report = xlogreg.load(model[0]).evaluate(found.X, found.Y)
    assert done.stdout.startswith(f"{report}\nwithout features: always 'blue' gives accuracy 0.5000, ")
    assert "skipped 2:\n" in done.stdout
    said = json.loads(call("images", "evaluate", model[0], "colours", "--json", folder=folder).stdout)
    assert sum(map(sum, said["confusion"])) == 40
    assert said["baseline"]["accuracy"] == 0.5
    assert len(said["skipped"]) == 2


def test_a_folder_of_some_of_the_classes_is_judged(folder, model, tmp_path):
    (tmp_path / "some" / "red").mkdir(parents=True)
    (tmp_path / "some" / "other").mkdir()
    assert refused("images", "evaluate", model[0], "some", folder=tmp_path).startswith("some holds no picture in a sub")
    (tmp_path / "some" / "red" / "a.png").write_bytes((folder / "colours" / "red" / "01.png").read_bytes())
    said = json.loads(call("images", "evaluate", model[0], "some", "--json", folder=tmp_path).stdout)
    assert np.sum(said["confusion"], axis=1).tolist() == [0, 1]


@pytest.fixture(scope="module")
def features(folder):
    """Features that tell the classes from one another far better than the pixels, in a file that has a row for each."""
    found = images.load_folder(folder / "colours", 6)
    values = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    values[:, 3] = 1e4 + 200 * (found.Y[0] == "red") + 10 * values[:, 3]
    np.save(folder / "features.npy", values)
    return values


def test_features_of_a_network_stand_for_the_pixels(folder, model, features):
    given = ("--features", "features.npy")
    done = call("images", "fit", "colours", "-o", "of_features.model", *given, folder=folder)
    assert done.stdout.startswith("colours: 32 pictures with 5 features each, from features.npy, classes blue, red\n")
    assert "sees colours" in model[1]
    assert "sees colours" not in done.stdout
    said = json.loads(
        call("images", "evaluate", "of_features.model", "colours", *given, "--json", folder=folder).stdout
    )
    assert said["accuracy"] == 1.0
    lines = call("images", "predict", "of_features.model", "colours", *given, folder=folder).stdout.splitlines()
    assert [line.split("/")[1] for line in lines] == [line.split("\t")[1] for line in lines]
    fitted, found = xlogreg.load(folder / "of_features.model"), images.load_folder(folder / "colours", 6)
    train, _ = picture_commands.split(found.Y[0], 0.2, np.random.default_rng(0))
    same = xlogreg.fit(features[train].T, found.Y[:, train], l2=fitted.l2, standardize=True)
    np.testing.assert_allclose(fitted.w, same.w, rtol=1e-4)
    assert fitted.feature_names == ("0", "1", "2", "3", "4")


def test_features_that_do_not_fit_are_one_error(folder, model, features):
    call("images", "fit", "colours", "-o", "g.model", "--features", "features.npy", "--l2", "1", folder=folder)
    missing = features.copy()
    missing[2, 1] = np.nan
    wrong = {"few": features[1:], "flat": features[:, 0], "texts": np.asarray([["a"]]), "missing": missing}
    for name, values in (wrong | {"wide": np.hstack([features, features])}).items():
        np.save(folder / f"{name}.npy", values)
    mismatch = "few.npy holds features of 39 pictures, but there are 40 (2 skipped; the first: colours/list.txt: no"
    for arguments, said in (
        (("fit", "colours", "-o", "x", "--features", "few.npy"), mismatch),
        (("predict", "g.model", "colours", "--features", "few.npy"), mismatch),
        (("evaluate", "g.model", "colours", "--features", "few.npy"), mismatch),
        (
            ("fit", "colours", "-o", "x", "--features", "flat.npy"),
            "flat.npy must hold numbers (m, n), a row of features",
        ),
        (("fit", "colours", "-o", "x", "--features", "texts.npy"), "texts.npy must hold numbers (m, n), a row of feat"),
        (
            ("fit", "colours", "-o", "x", "--features", "missing.npy"),
            "missing.npy holds nan in row 2, column 1, counted",
        ),
        (
            ("fit", "colours", "-o", "x", "--features", "colours/list.txt"),
            "colours/list.txt is no .npy file of numbers",
        ),
        (("fit", "colours", "-o", "x", "--features", "features.npy", "--size", "9"), "--size is for pixels: it says"),
        (
            ("predict", "g.model", "colours"),
            "g.model is a model of 5 features, not of pixels: --features FILE.npy gives",
        ),
        (
            ("evaluate", "g.model", "colours"),
            "g.model is a model of 5 features, not of pixels: --features FILE.npy giv",
        ),
        (
            ("predict", model[0], "colours", "--features", "features.npy"),
            f"{model[0]} is a model of pixels: it has no use",
        ),
        (("evaluate", "g.model", "colours", "--features", "wide.npy"), "X "),
    ):
        assert refused("images", *arguments, folder=folder).startswith(said)


def test_a_model_of_numbered_classes_is_judged_on_folders_of_their_numbers(folder, tmp_path):
    found = images.load_folder(folder / "colours", 6)
    xlogreg.fit(found.X, found.Y == "red", l2=1e-2, standardize=255).save(tmp_path / "bool.model")
    xlogreg.fit(found.X.T, (found.Y == "red")[0].astype(int), samples="rows", l2=1e-2, standardize=255).save(
        tmp_path / "int.model"
    )
    (tmp_path / "numbered").mkdir()
    for number, name in enumerate(("blue", "red")):
        os.symlink(folder / "colours" / name, tmp_path / name)
        (tmp_path / "numbered" / str(number)).mkdir()
        for file in (folder / "colours" / name).glob("*.png"):
            (tmp_path / "numbered" / str(number) / file.name).write_bytes(file.read_bytes())
    said = json.loads(call("images", "evaluate", "int.model", "numbered", "--json", folder=tmp_path).stdout)
    assert said["classes"] == [0, 1]
    assert said["accuracy"] > 0.9
    assert "it has 'False', 'True'" in refused("images", "evaluate", "bool.model", "numbered", folder=tmp_path)


def test_what_is_no_model_of_pictures_is_refused(folder, model, tmp_path):
    xlogreg.fit(np.eye(4), [0, 1, 0, 1], l2=1.0).save(tmp_path / "table.model")
    said = refused("images", "predict", tmp_path / "table.model", "colours/red/01.png", folder=folder)
    assert said.endswith("table.model is no model of pictures: it has 4 features, not size x size x 3 bytes")
    said = refused("images", "evaluate", "colours/list.txt", "colours", folder=folder)
    assert said.startswith("colours/list.txt is damaged, or no model file")


def few_pictures(folder):
    folder.mkdir(exist_ok=True)
    Image.new("L", (3, 3)).save(folder / "a.png")
    return folder


def test_errors_are_one_line(folder, model, tmp_path):
    for arguments, said in (
        (("fit", "colours/red", "-o", "x"), "colours/red holds no folder (and 21 other files); expected two or more"),
        (("fit", "none", "-o", "x"), "none: No such file or directory"),
        (("fit", "colours/list.txt", "-o", "x"), "colours/list.txt: Not a directory"),
        (("fit", "colours", "-o", "no/x"), "no: No such file or directory"),
        (("fit", "colours", "-o", "x", "--strict"), "colours/list.txt: not in the folder of a class"),
        (("fit", "colours", "-o", "x", "--report", "x.doc"), "x.doc: a report is drawn as .png, .pdf, .svg"),
        (("fit", "colours", "-o", "x", "--report", "no/x.png"), "no: No such file or directory"),
        (("fit", "colours", "-o", "x", "--l2", "-1"), "l2 must be a finite number >= 0, not -1.0"),
        (("predict", model[0], "colours", "-o", "x.xlsx"), "x.xlsx: predictions are written as .csv or .parquet"),
        (("predict", model[0], "colours", "-o", "no/x.csv"), "no: No such file or directory"),
        (("evaluate", model[0], "colours", "--strict"), "colours/list.txt: not in the folder of a class"),
    ):
        assert refused("images", *arguments, folder=folder).startswith(said)
    assert not (folder / "x").exists()
    (tmp_path / "parts" / "test").mkdir(parents=True)
    os.rename(few_pictures(tmp_path / "train"), tmp_path / "parts" / "train")
    few_pictures(tmp_path / "parts" / "test")
    said = refused("images", "fit", "parts", "-o", "x", folder=tmp_path)
    assert said.startswith("parts is divided into test and train, which are no classes: fit parts/train, then judge")
    (tmp_path / "hollow").mkdir()
    for action in (("predict", model[0]), ("list",)):
        said = refused("images", *action, "hollow", folder=tmp_path)
        assert said == "hollow holds no picture that can be read"
    for name, value in (("blue", 0), ("red", 255), ("red", 250), ("green", 9)):
        (tmp_path / "few" / name).mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), value).save(tmp_path / "few" / name / f"{value}.png")
    few = refused("images", "fit", "few", "-o", "x", folder=tmp_path)
    assert few.startswith("1 picture of 'blue' to train on is too few to choose the penalty by cross-validation")
    unknown = refused("images", "evaluate", model[0], "few", folder=tmp_path)
    assert unknown == "few holds the class 'green', which the model does not have: it has 'blue', 'red'"


@pytest.mark.parametrize("wrong", [[], ["fit"], ["fit", "colours"], ["nothing"], ["predict", "m"]])
def test_wrong_usage_is_exit_code_2(folder, wrong):
    assert call("images", *wrong, folder=folder).returncode == 2
    for value in (("--size", "0"), ("--test-share", "1"), ("--l2", "much")):
        assert call(*FIT, "-o", "x", *value, folder=folder).returncode == 2


@pytest.mark.parametrize(("module", "extra"), [("PIL", "images"), ("matplotlib", "plots")])
def test_a_missing_extra_is_named(folder, module, extra):
    program = f"import sys; sys.modules[{module!r}] = None; import xlogreg.cli; sys.exit(xlogreg.cli.main())"
    command = [sys.executable, "-c", program, *FIT, "-o", "x", "--report", "x.png"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"pip install 'xlogreg[{extra}]'" in done.stderr


def test_the_surest_mistakes_come_first_and_are_all_of_them(folder, model):
    report = pytest.importorskip("xlogreg.cli.picture_report")
    found, fitted = images.load_folder(folder / "colours", 6), xlogreg.load(model[0])
    swapped = np.where(found.Y == "red", "blue", "red")
    swapped[0, ::3] = found.Y[0, ::3]
    false = images.Pictures(found.pictures, swapped, found.files, found.classes)
    mistakes = report.worst_mistakes(fitted, PictureSamples(false, None))
    predicted = fitted.predict(found.X)[0]
    assert sorted(mistake.number for mistake in mistakes) == np.flatnonzero(predicted != swapped[0]).tolist()
    assert [fitted.classes[mistake.predicted] for mistake in mistakes] == [predicted[m.number] for m in mistakes]
    assert [fitted.classes[mistake.true] for mistake in mistakes] == [swapped[0, m.number] for m in mistakes]
    sure = [mistake.probability for mistake in mistakes]
    assert sure == sorted(sure, reverse=True)
    assert min(sure) >= 0.5


@pytest.mark.slow
def test_the_report_is_a_picture_whatever_the_names_are(folder, tmp_path):
    report = pytest.importorskip("xlogreg.cli.picture_report")
    found = images.load_folder(folder / "colours", 6)
    names = np.asarray(["$\\frac$", "日本 \u202e", "a name of many characters", "a name of many, too", "e", "f", "g"])
    Y = names[np.arange(40) % 7]
    judged = images.Pictures(found.pictures, Y[None, :], found.files, tuple(names))
    for features in (None, np.random.default_rng(0).standard_normal((40, 3))):
        samples = PictureSamples(judged, features)
        fitted = xlogreg.fit(samples.X, Y, l2=10.0, standardize=samples.standardize)
        report.draw_report(tmp_path / "r.png", fitted, samples, "$x", fitted.evaluate(samples.X, Y))
        pixels = np.asarray(Image.open(tmp_path / "r.png").convert("RGB"))
        assert pixels.shape[1] == 1080
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


def test_the_title_says_which_mistakes_are_drawn():
    outcome = pytest.importorskip("xlogreg.cli.picture_report").outcome
    assert outcome(40, 0, 0) == "all 40 right"
    assert outcome(40, 1, 1) == "39 of 40 right; the mistake"
    assert outcome(40, 9, 9) == "31 of 40 right; the 9 mistakes, the surest first"
    assert outcome(40, 20, 12) == "20 of 40 right; the 12 surest of 20 mistakes"


def test_the_photographs_are_cut_without_a_shared_pixel(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    spec = importlib.util.spec_from_file_location("cut_photographs", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    monkeypatch.setattr(example.Image, "fromarray", lambda patch: cut.append(patch) or Image.new("L", (1, 1)))
    monkeypatch.setattr(example, "load_sample_images", lambda: Bunch)
    cut, Bunch = [], type("Bunch", (), {"images": np.arange(2 * 427 * 640).reshape(2, 427, 640, 1)})
    example.main(tmp_path)
    assert len(cut) == 208
    numbers = np.concatenate([np.ravel(patch) for patch in cut])
    assert len(np.unique(numbers)) == len(numbers) == 208 * 48 * 48
    assert capsys.readouterr().out == f"{tmp_path}/temple: 104 pictures\n{tmp_path}/flower: 104 pictures\n"
    assert len(list((tmp_path / "flower").iterdir())) == 104


@pytest.mark.slow
def test_the_page_on_linear_probes_leads_from_pictures_to_predictions(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    page = (EXAMPLE.parent.parent / "docs" / "linear_probes.md").read_text()
    page = page[page.index("\n## On a GPU") :]
    names: dict = {"np": np, "xlogreg": xlogreg, "rng": np.random.default_rng(0), "labels": np.arange(1500) % 10}
    monkeypatch.setattr("tempfile.mkdtemp", lambda: str(tmp_path))
    for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        exec(block, names)
    commands = re.findall(r"^xlogreg (.*)$", page, re.M)
    assert [command.split()[1] for command in commands] == ["fit", "fit", "evaluate", "predict"]
    done = [call(*command.split(), folder=tmp_path) for command in commands]
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 4
    accuracy = [float(re.search(r"^test: accuracy ([\d.]+)", one.stdout, re.M)[1]) for one in done[:2]]
    assert accuracy[0] < 0.7 < 0.9 < accuracy[1]
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 201
