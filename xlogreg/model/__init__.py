"""A fitted model: what it predicts and tells, and its file."""

from xlogreg.model.model import Model, load

__all__ = ["Model", "load"]
