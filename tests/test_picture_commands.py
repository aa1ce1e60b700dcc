"""From a folder of pictures to predictions on the command line."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_commands import call, refused, run

import xlogreg
from xlogreg import images
from xlogreg.cli import pictures as picture_commands

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
        "of the smallest log loss in cross-validation on 5 folds",
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
    assert f"l2 {chosen}, of the smallest" in said


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


def test_pictures_that_cannot_be_read_are_told_after_the_others_are_predicted(folder, model):
    names = ("colours/red/01.png", "none.png", "colours", "colours/red/bad\n\x1b[31m.jpg")
    done = call("images", "predict", model[0], *names, folder=folder)
    assert done.returncode == 1
    assert done.stderr == "xlogreg images: none.png: No such file or directory, and 2 more\n"
    assert len(done.stdout.splitlines()) == 1
    done = call("images", "predict", model[0], *names, "--json", folder=folder)
    assert [entry["reason"] for entry in json.loads(done.stdout)["skipped"]] == [
        "No such file or directory",
        "Is a directory",
        "empty",
    ]
    assert refused("images", "predict", model[0], names[-1], folder=folder) == "colours/red/bad\\n\\x1b[31m.jpg: empty"


def test_evaluate_judges_a_folder(folder, model):
    done = run("images", "evaluate", model[0], "colours", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found = images.load_folder(folder / "colours", 6)
    assert done.stdout.startswith(str(xlogreg.load(model[0]).evaluate(found.X, found.Y)))
    assert "skipped 2:\n" in done.stdout
    said = json.loads(call("images", "evaluate", model[0], "colours", "--json", folder=folder).stdout)
    assert sum(map(sum, said["confusion"])) == 40
    assert len(said["skipped"]) == 2


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
        (("evaluate", model[0], "colours", "--strict"), "colours/list.txt: not in the folder of a class"),
    ):
        assert refused("images", *arguments, folder=folder).startswith(said)
    assert not (folder / "x").exists()
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
    mistakes = report.worst_mistakes(fitted, false)
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
    fitted = xlogreg.fit(found.X, Y, l2=10.0, standardize=255)
    judged = images.Pictures(found.pictures, Y[None, :], found.files, tuple(names))
    report.draw_report(tmp_path / "r.png", fitted, judged, "$x", fitted.evaluate(found.X, Y))
    pixels = np.asarray(Image.open(tmp_path / "r.png").convert("RGB"))
    assert pixels.shape[1] == 1080
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


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
