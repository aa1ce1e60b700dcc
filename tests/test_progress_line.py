"""Where the progress line goes, and what the states that callbacks see keep alive."""

import gc
import io
import os
import pickle
import pty
import sys
import weakref

import numpy as np
import pytest

import xlogreg
from xlogreg.fitting import progress


def draw(m=200):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, m))
    return X, X[0] + rng.logistic(size=m) > 0


class Broken(io.StringIO):
    """A stream that nobody reads any more."""

    def write(self, text):
        raise BrokenPipeError(text)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("with_tqdm", [True, False])
@pytest.mark.parametrize("stream", [lambda: None, closed, Broken])
def test_a_call_goes_on_if_nobody_reads_its_line(monkeypatch, stream, with_tqdm):
    if not with_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys, "stderr", stream())
    model = xlogreg.fit(*draw(), verbose=1)
    assert len(xlogreg.fit_path(*draw(), [1.0, 0.1], verbose=1)) == 2
    monkeypatch.undo()
    np.testing.assert_array_equal(model.w, xlogreg.fit(*draw()).w)


def test_a_line_is_cut_at_the_width_of_its_terminal_until_the_last_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    there, here = pty.openpty()
    with os.fdopen(here, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr(os, "get_terminal_size", lambda number: os.terminal_size((20, 5)))
        line = progress.ProgressLine("fit_cv")
        line.show(1, 9, "1 of 9 models", "a rest that does not fit")
        line.show(9, 9, "9 of 9 models", "9 converged", last=True)
        line.close()
        assert os.read(there, 999) == b"\rfit_cv: 1 of 9 mode\rfit_cv: 9 of 9 models, 9 converged\r\n"
    os.close(there)


@pytest.mark.parametrize("options", [{}, {"solver": "gd"}, {"l1": 0.01}, {"bias_reduction": "firth"}])
@pytest.mark.slow
def test_a_state_that_is_kept_does_not_keep_X_alive(options):
    X, Y = draw()
    X, states = X.copy(), []
    alive = weakref.ref(X)
    xlogreg.fit(X, Y, callback=states.append, **options)
    del X
    gc.collect()
    assert alive() is None
    again = pickle.loads(pickle.dumps(states[-1]))
    assert repr(again) == repr(states[-1])
    np.testing.assert_array_equal(again.w, states[-1].w)
