"""The competitors: a file for each library, and those in the folder that LEAGUE_COMPETITORS names, if it is set."""

import importlib
import os
import pkgutil

from benchmarks.contest import Competitor

__all__ = ["COMPETITORS"]

__path__ += filter(None, os.environ.get("LEAGUE_COMPETITORS", "").split(os.pathsep))
FIRST = ["xlogreg", "sklearn", "glum"]  # the fastest, so that others know early where the minimum is
FILES = sorted(module.name for module in pkgutil.iter_modules(__path__))
COMPETITORS: dict[str, Competitor] = {
    competitor.name: competitor
    for name in [*FIRST, *(name for name in FILES if name not in FIRST)]
    for competitor in importlib.import_module(f"{__name__}.{name}").COMPETITORS
}
