"""hypothesis, for files that have other tests, too: where it is not installed, only those that need it are skipped."""

from typing import Any

import pytest

try:
    from hypothesis import given, settings
    from hypothesis import strategies as st
except ImportError:

    class Absent:
        """Stands for the strategies of a test that is skipped."""

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments, **options: self

    def given(*strategies: Any) -> Any:
        return pytest.mark.skip(reason="hypothesis is not installed")

    def settings(**options: Any) -> Any:
        return lambda test: test

    st = Absent()

__all__ = ["given", "settings", "st"]
