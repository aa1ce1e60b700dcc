"""Faults of a real cluster, whose workers are processes that are really killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

import xlogreg
from xlogreg.samples.cluster import tasks as workers
from xlogreg.samples.cluster.distributed import Distributed

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")

pytestmark = pytest.mark.slow
PROCESSES = {"processes": True, "threads_per_worker": 1, "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((10, 20_000))
    return X, (X[0] - X[1] + rng.logistic(size=20_000) > 0).astype(int)


@pytest.fixture
def cluster():
    with distributed.LocalCluster(n_workers=2, **PROCESSES) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        yield client


def made(data):
    """X and Y in ten blocks that are made where they are needed."""
    return tuple(da.from_array(values, chunks=(*values.shape[:-1], 2000)) for values in data)


def kill(client, count):
    """SIGKILL to so many of the worker processes."""
    for pid in list(client.run(os.getpid).values())[:count]:
        os.kill(pid, signal.SIGKILL)


class Killer:
    """A callback that kills workers before the second step."""

    def __init__(self, client, count):
        self.client, self.count, self.at = client, count, 0.0

    def __call__(self, state):
        if state.iteration == 1:
            kill(self.client, self.count)
            self.at = time.monotonic()


@pytest.mark.parametrize("options", [{}, {"solver": "newton"}, {"l2": 1e-3, "solver": "lbfgs"}])
@pytest.mark.parametrize("count", [1, 2])
def test_workers_that_are_killed_in_the_middle_change_nothing(client, data, options, count):
    """A nanny starts new ones."""
    undisturbed = xlogreg.fit(*made(data), **options)
    killer = Killer(client, count)
    model = xlogreg.fit(*made(data), callback=killer, **options)
    assert killer.at > 0
    assert np.array_equal(model.w, undisturbed.w)
    assert model.fit_info.passes == undisturbed.fit_info.passes
    close = xlogreg.fit(*data, **options).predict_proba(data[0])
    np.testing.assert_allclose(model.predict_proba(data[0]), close, rtol=0, atol=1e-8)


@pytest.mark.parametrize("several", [1, 2])
def test_folds_are_dealt_again_where_workers_are_killed(client, data, monkeypatch, several):
    """What models own with the parts is made anew, as the parts are."""
    X, Y = made(data)
    l2s = [1.0, 1e-2, 1e-4]
    undisturbed = xlogreg.fit_cv(X, Y, l2s)
    collect, rounds = Distributed._collect, []

    def killing(self, *arguments):
        rounds.append(self.fields is not None)
        if sum(rounds) == 3:
            kill(client, several)
        return collect(self, *arguments)

    monkeypatch.setattr(Distributed, "_collect", killing)
    found = xlogreg.fit_cv(X, Y, l2s)
    assert sum(rounds) > 3
    assert np.array_equal(found.model.w, undisturbed.model.w)
    for name in found.scores:
        assert np.array_equal(found.scores[name], undisturbed.scores[name])


@pytest.fixture
def mortals():
    """A client of two workers that nobody starts again."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    with distributed.LocalCluster(n_workers=0, **PROCESSES) as cluster, distributed.Client(cluster) as client:
        started = [
            subprocess.Popen(
                [*command, cluster.scheduler_address], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
            for _ in range(2)
        ]
        try:
            client.wait_for_workers(2, timeout=60)
            yield client
        finally:
            for process in started:
                process.kill()
                process.wait()


def test_the_last_worker_takes_over_what_the_other_had(mortals, data):
    undisturbed = xlogreg.fit(*made(data))
    model = xlogreg.fit(*made(data), callback=Killer(mortals, 1))
    assert len(mortals.nthreads()) == 1
    assert np.array_equal(model.w, undisturbed.w)


def test_with_no_worker_left_the_fit_ends_in_the_time_that_is_said(mortals, data, monkeypatch):
    monkeypatch.setattr(workers, "NO_WORKER_SECONDS", 3.0)
    killer = Killer(mortals, 2)
    with pytest.raises(xlogreg.WorkersLostError, match="no worker for 3 seconds"):
        xlogreg.fit(*made(data), callback=killer)
    assert 3.0 <= time.monotonic() - killer.at < 3.0 + 5 * workers.STEP_SECONDS


def test_a_scheduler_that_is_killed_ends_the_fit_at_once(data):
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/scheduler.json"
        scheduler = subprocess.Popen([*command, "--scheduler-file", file], stderr=subprocess.DEVNULL)
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", "1"],
            stderr=subprocess.DEVNULL,
        )
        at = []

        def kill_scheduler(state):
            scheduler.kill()
            at.append(time.monotonic())

        try:
            with distributed.Client(scheduler_file=file, timeout=30) as client:
                client.wait_for_workers(1, timeout=60)
                with pytest.raises(xlogreg.WorkersLostError):
                    xlogreg.fit(*made(data), callback=kill_scheduler)
                assert time.monotonic() - at[0] < 10
        finally:
            for process in (worker, scheduler):
                process.terminate()
                process.wait(30)


def test_a_block_that_kills_its_worker_is_named(data):
    def deadly(block):
        os.kill(os.getpid(), signal.SIGKILL)
        return block

    X, Y = made(data)
    mapped = X[:, 4000:6000].map_blocks(deadly, dtype=X.dtype, meta=np.empty((0, 0)))
    X = da.concatenate([X[:, :4000], mapped, X[:, 6000:]], axis=1)
    with (
        distributed.LocalCluster(n_workers=2, **PROCESSES) as cluster,
        distributed.Client(cluster),
        pytest.raises(xlogreg.WorkersLostError, match=r"block 2 \(samples 4000 to 5999\) was lost with every worker"),
    ):
        xlogreg.fit(X, Y)


def test_ctrl_c_leaves_a_cluster_that_works(client, data):
    def interrupt(state):
        if state.iteration == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*made(data), callback=interrupt)
    assert xlogreg.fit(*made(data)).fit_info.converged
