"""A plugin of pytest for machines lent by the minute: tests that need the GPU first, and an end in time.

Run: benchmarks/gpu_check.sh tests, or python -m pytest -p benchmarks.gpu_tests --budget SECONDS [--left]. Tests whose
names have "cupy" come first, then "cuda", then "jax", then the rest; slow ones last in each of these. When the seconds
are over, counted from the start of pytest, no further test begins, and the exit code is 124 where none had failed, as
after an interrupt. The tests that were not run are counted, and kept in pytest's cache: --left runs them and no others.
"""

import time
from collections.abc import Generator
from typing import Any

import pytest

# without these a test, or an example in a docstring, that imports one is skipped
OPTIONAL = {
    *("array_api_strict", "dask", "distributed", "formulaic", "h5py", "hypothesis", "matplotlib", "pandas", "PIL"),
    *("polars", "pyarrow", "scipy", "sklearn", "statsmodels", "tqdm", "zarr"),
}
ORDER = ("cupy", "cuda", "jax")
LEFT = "gpu_tests/left"  # ids of the tests that were not run, in pytest's cache
TIME_IS_UP = 124  # as timeout(1) has it


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tests on a GPU")
    group.addoption("--budget", type=float, default=450.0, help="seconds after which no test begins")
    group.addoption("--left", action="store_true", help="only the tests that the last run had no time for")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Budget(config), "gpu_budget")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
    report = yield
    absent = call.excinfo and module_not_found(call.excinfo.value)
    if absent in OPTIONAL:
        path, line, _ = item.location
        report.outcome, report.longrepr = "skipped", (path, (line or 0) + 1, f"Skipped: {absent} is not installed")
    return report


def module_not_found(error: BaseException) -> str:
    """The root of the module that an error misses, in a test or an example of a docstring; "" for other errors."""
    failures = [error, *getattr(error, "failures", [])]
    errors = [failure.exc_info[1] if hasattr(failure, "exc_info") else failure for failure in failures]
    found = (each.name or "" for each in errors if isinstance(each, ModuleNotFoundError))
    return next(found, "").partition(".")[0]


class Budget:
    """Orders the tests, ends the run, and says what was left out."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.deadline = time.monotonic() + config.getoption("budget")
        self.left: list[str] | None = None  # None until the tests are known
        self.stopped = False

    @pytest.hookimpl(trylast=True)  # after those that mark tests as slow
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.config.getoption("left"):
            wanted = set(self.config.cache.get(LEFT, []))
            self.config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
            items[:] = [item for item in items if item.nodeid in wanted]
        items.sort(key=lambda item: (place(item.nodeid), item.get_closest_marker("slow") is not None))
        self.left = [item.nodeid for item in items]

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.left.remove(nodeid)  # it is the first, so that this takes no time

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        if time.monotonic() >= self.deadline and self.left[1:]:
            item.session.shouldstop = "the time is up"
            self.stopped = True

    def pytest_keyboard_interrupt(self) -> None:
        self.stopped = True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.left is not None:
            self.config.cache.set(LEFT, self.left)
        if self.stopped:
            session.exitstatus = 1 if session.testsfailed else TIME_IS_UP
        elif self.config.getoption("left") and not session.items:
            session.exitstatus = 0  # for pytest, no tests are a mistake

    def pytest_unconfigure(self) -> None:
        if self.left is not None:
            counts = {name: sum(place(test) == number for test in self.left) for number, name in enumerate(ORDER)}
            of = ", ".join(f"{count} of {name}" for name, count in counts.items())
            print(f"{len(self.left)} tests were not run: {of}" if self.left else "no test was left out")


def place(nodeid: str) -> int:
    """Where a test stands in the order."""
    return next((number for number, name in enumerate(ORDER) if name in nodeid), len(ORDER))
