"""Tasks on the workers of a dask cluster: send them, wait for them, and name those that fail.

If a worker is lost, dask computes its results again on another worker. A task that fails is tried once more. If that
does not help, the wait ends with an error: no wait lasts for ever.
"""

import concurrent.futures
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from xlogreg.exceptions import WorkersLostError

__all__ = ["NO_WORKER_SECONDS", "Cluster"]

NO_WORKER_SECONDS = 30.0  # a wait ends after so long without any worker; a nanny starts a new worker in a few seconds
STEP_SECONDS = 1.0  # time between two looks at the cluster
RETRIES = 1  # a task that fails is tried once more


@dataclass(frozen=True)
class Cluster:
    """Workers of a dask cluster, reached through a client.

    Attributes
    ----------
    client : distributed.Client
    """

    client: Any

    @classmethod
    def current(cls) -> "Cluster":
        """Cluster of the client that was started last.

        Raises
        ------
        ImportError
            If dask.distributed is not installed.
        ValueError
            If there is no client, or if it is asynchronous.
        """
        try:
            from distributed import default_client
        except ImportError as error:
            raise ImportError('a dask collection is fitted by dask.distributed: pip install "xlogreg[dask]"') from error
        try:
            client = default_client()
        except ValueError:
            raise ValueError(
                "X is a dask collection, but there is no dask client whose workers it could be fitted by; start one: "
                "from dask.distributed import Client; client = Client()"
            ) from None
        if client.asynchronous:
            raise ValueError("the dask client is asynchronous; a fit needs one that was made without asynchronous=True")
        return cls(client)

    @property
    def count(self) -> int:
        """Number of workers now."""
        self._expect_scheduler()
        try:
            return len(self.client.sync(self.client.scheduler.ncores, callback_timeout=NO_WORKER_SECONDS))
        except (OSError, TimeoutError) as error:
            self._say_lost(f"the scheduler of the dask cluster does not answer ({type(error).__name__})")

    def load(self, blocks: list[Any]) -> list[Any]:
        """Start computing delayed values; return their futures."""
        self._expect_scheduler()
        return self.client.compute(blocks, retries=RETRIES)

    def send(self, function: Any, *each: Sequence[Any]) -> list[Any]:
        """Start function(*arguments), with one argument of each sequence; return the futures.

        A future among the arguments stands for its value.
        """
        self._expect_scheduler()
        with warnings.catch_warnings():  # millions of parameters or labels have to be sent in some way
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.client.map(function, *each, pure=False, retries=RETRIES)

    def collect(self, tasks: list[Any], names: Sequence[str]) -> list[Any]:
        """Wait for the values of futures, in order, and release them; ``names`` has the name of each one's block.

        Raises
        ------
        WorkersLostError
            If there has been no worker for NO_WORKER_SECONDS, if the scheduler is gone, or if the workers that computed
            one of the tasks died one after the other.
        RuntimeError
            If a task failed twice; the message names its block.
        """
        import asyncio  # imported here: its import takes longer than that of the rest of this library

        loop = self.client.loop.asyncio_loop
        answer = asyncio.run_coroutine_threadsafe(self.client.gather(tasks, asynchronous=True), loop)
        seen = time.monotonic()
        try:
            while not concurrent.futures.wait([answer], STEP_SECONDS).done:
                if self.count:
                    seen = time.monotonic()
                elif time.monotonic() - seen >= NO_WORKER_SECONDS:
                    self._say_lost(f"the dask cluster has had no worker for {NO_WORKER_SECONDS:g} seconds")
            return answer.result()
        except WorkersLostError:
            raise
        except (Exception, asyncio.CancelledError) as error:
            failed = [(task, name) for task, name in zip(tasks, names, strict=True) if task.status == "error"]
            if not failed:  # the tasks were cancelled or broken off
                self._expect_scheduler()
                self._say_lost(f"the dask cluster gave up the tasks of this fit ({type(error).__name__})")
            task, name = failed[0]
            raise _named(task.exception(), name) from error
        finally:
            for task in tasks:  # this also ends a wait for them that is still going on
                task.release()

    def _expect_scheduler(self) -> None:
        if self.client.status != "running":
            self._say_lost(f"the scheduler of the dask cluster is gone (the client is {self.client.status})")

    def _say_lost(self, what: str) -> NoReturn:
        raise WorkersLostError(f"{what}: the fit cannot go on. Start a client with workers, and fit again") from None


def _named(error: BaseException, block: str) -> Exception:
    """Turn the error of a task into one that names its block."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return WorkersLostError(
            f"{block} was lost with every worker that computed it: {error.allowed_failures + 1} died, one after the "
            "other; is it too large for their memory?"
        )
    return RuntimeError(f"{block} failed twice: {type(error).__name__}: {error}")
