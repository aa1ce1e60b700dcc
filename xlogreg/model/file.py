"""Model files: a .npz archive of plain arrays and a JSON header. They hold no pickle, and are not trusted.

Version 2 added what a model knows of its penalty, and fields of the header that are reserved for later libraries: see
`RESERVED`. A file of either version is read; a newer one is refused.

A file is written under another name, flushed to disk, then moved over the old file: the path holds either the old
file or the whole new one. On reading, every name, type and size is checked against the size of the file before any
memory is allocated.
"""

import dataclasses
import io
import json
import math
import os
import re
import types
import typing
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy

from xlogreg.exceptions import ModelFileError, expect_memory
from xlogreg.inputs.files import IrregularFileError, open_regular, write_atomically
from xlogreg.inputs.options import BIAS_REDUCTIONS
from xlogreg.math.losses import LOSSES
from xlogreg.model.encoding_file import CATEGORIES, TERMS, encoding_as_json, encoding_from_json
from xlogreg.model.encoding_file import expect as _expect
from xlogreg.model.reports import FitInfo

__all__ = ["format_version", "read_model", "write_model"]

FORMAT = "xlogreg model"
VERSION = 2
HEADER = "header.json"
LABEL_CHARACTERS = 2**24  # limit of the number of classes times the length of the longest label
HEADER_BYTES = 16 * 2**20  # limit of the header, which may take 50 times as much memory while it is read
FINITE = ("w", "b", "center", "centered_b", "penalty_factor")
ARRAYS = (*FINITE, "costs", "covariance")
KEYS = {"format", "version", "classes", "feature_names", "samples", "loss", "covariance", "fit_info"}
KNOWN = ("l1", "l2", "standardize", "relax")  # fields from version 2 on; where one is missing, its value is not known
# groups of weights, from version 2 on; where a field is missing, it has this value: so only later libraries read files
# that have one, and they read all others
GROUPS = {"multinomial": "ungrouped", "penalty": "each"}
# the bias reduction, and the shift of the scores, from version 2 on; missing for None. Earlier libraries, which know
# nothing of them, refuse a file that has one
REDUCTION, SHIFT = "bias_reduction", "score_shift"
BIAS = "bias"  # written as false for a model without a bias, from version 2 on; otherwise it is missing
OFFSET = "offset"  # written as true for a model with an offset, which a library that knows none refuses
# fields for later libraries, from version 2 on, with the values that mean the same as no field. This library refuses
# all other values, since it would predict or report wrongly: so a later library may write them without a new version
RESERVED: dict[str, tuple[Any, ...]] = {
    "covariance_kind": (None, "Fisher information"),
}
COUNTS = ("n_samples", "total_weight")  # fields of fit_info that are above 0
NOT_FINITE = ("nan", "inf", "-inf")  # JSON has no such numbers, so the file holds their names
WORDS = {  # texts that these fields of fit_info may hold; its other texts are free
    "reason": (
        *("converged", "max_iter", "time_limit", "precision", "separated", "callback", "diverged", "checkpoint"),
        "one class",
    ),
    "gap_known": ("decrement", "bound", "estimate", "separated", "local", ""),
    "separation": ("none", "complete", "quasi-complete", "undecided", ""),
}
OPTIONAL = {"covariance", "center", "centered_b", "penalty_factor"}
DTYPE = re.compile(r"[<>|](b1|[iu][1248]|f[248]|[US][1-9][0-9]{0,5})")


def write_model(path: str | os.PathLike, fields: dict[str, Any]) -> None:
    """Write the fields of a model, whose arrays are on the host.

    Raises
    ------
    OSError
        If the file cannot be written; an older file stays as it was.
    ValueError
        If parameters are not finite, or names too long, since `read_model` would refuse the file.
    """
    for name in FINITE:
        if fields[name] is not None and not np.all(np.isfinite(fields[name])):
            reason = fields["fit_info"].reason
            raise ValueError(f"the model cannot be saved: {name} is not finite (its fit ended with {reason!r})")
    classes = _storable(fields["classes"])
    text = np.char.decode(classes, "latin-1") if classes.dtype.kind == "S" else classes
    info = dataclasses.asdict(fields["fit_info"])
    header = {
        "format": FORMAT,
        "version": VERSION,
        "classes": {"dtype": classes.dtype.str, "values": text.tolist()},
        "feature_names": fields["feature_names"],
        "samples": fields["samples"],
        "loss": fields["loss"],
        "covariance": fields["covariance"] if isinstance(fields["covariance"], str) else None,
        # an empty note is left out, so that earlier versions can read the file
        "fit_info": {name: _as_json(value) for name, value in info.items() if name != "note" or value},
    }
    known = {name: fields[name] for name in KNOWN if fields[name] is not None}
    header |= {name: value if isinstance(value, bool) else float(value) for name, value in known.items()}
    asked = {name: fields[name] for name in GROUPS}
    asked = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asked.items()}
    header |= {name: value for name, value in asked.items() if value != GROUPS[name]}
    header |= ({} if fields[BIAS] else {BIAS: False}) | ({OFFSET: True} if fields[OFFSET] else {})
    header |= {} if fields[REDUCTION] is None else {REDUCTION: fields[REDUCTION]}
    header |= {} if fields[SHIFT] is None else {SHIFT: fields[SHIFT].tolist()}
    if fields["encoding"] is not None:
        header |= encoding_as_json(fields["encoding"])
    header_text = json.dumps(header, indent=1, allow_nan=False)
    if len(header_text) > HEADER_BYTES:
        raise ValueError("the names of the features or the labels are too long for a file")
    with write_atomically(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(HEADER), header_text)
        for name in ARRAYS:
            if isinstance(fields[name], np.ndarray):
                member = io.BytesIO()
                npy.write_array(member, np.ascontiguousarray(fields[name]), allow_pickle=False)
                # ZipInfo dates it 1980, so that the same model gives the same bytes
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())


def _storable(classes: np.ndarray) -> np.ndarray:
    """Convert the labels to a dtype that `read_model` takes, and refuse labels that are too long for it."""
    if classes.dtype.kind in "US":
        classes = classes.astype(classes.dtype.kind)  # NumPy then makes the strings as long as the longest label
        if math.prod(classes.shape) * int(classes.dtype.str[2:]) > LABEL_CHARACTERS:
            raise ValueError("the labels of the model are too long for a file")
    elif classes.dtype.kind == "f" and classes.dtype.itemsize > 8:
        classes = classes.astype(np.float64)  # labels are whole numbers, which float64 holds
    if DTYPE.fullmatch(classes.dtype.str) is None:
        raise TypeError(f"labels of {classes.dtype} cannot be written; fit labels of another type")
    return classes


def read_model(path: str | os.PathLike) -> dict[str, Any]:
    """Read the fields of a model from a file.

    Raises
    ------
    ModelFileError
        If the file holds anything that `write_model` does not write.
    OSError
        If there is no file to read.
    """
    try:
        file = open_regular(path)
    except IrregularFileError as error:
        raise ModelFileError(f"{os.fspath(path)} is not a model file that can be read: it is {error}") from None
    with file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = _members(archive, os.fstat(file.fileno()).st_size)
                _expect(members[HEADER].file_size <= HEADER_BYTES, "its header is too long")
                header = json.loads(archive.read(members[HEADER]))
                _expect(isinstance(header, dict) and header.get("format") == FORMAT, "it is no model of xlogreg")
                version = header.get("version")
                _expect(type(version) is int and version >= 1, "its format has no version")
                _expect(version <= VERSION, f"its format is version {version}, newer than {VERSION}: update xlogreg")
                _expect_fields(header)
                names = [name for name in ARRAYS if f"{name}.npy" in members]
                arrays = {name: _array(name, archive.read(members[f"{name}.npy"])) for name in names}
            return _fields(header, arrays)
        except ModelFileError as error:
            raise ModelFileError(f"{os.fspath(path)} is not a model file that can be read: {error}") from None
        except Exception as error:  # damaged bytes can make zipfile, json and NumPy raise anything
            expect_memory(error, f"reading {os.fspath(path)}")
            said = f"{type(error).__name__}: {error}"
            raise ModelFileError(f"{os.fspath(path)} is damaged, or no model file: {said}") from None


def format_version(path: str | os.PathLike) -> int:
    """Return the version of the format of a file that `read_model` reads."""
    with zipfile.ZipFile(path) as archive:
        return int(json.loads(archive.read(HEADER))["version"])


def _expect_fields(header: dict[str, Any]) -> None:
    """Check which fields the header has, and that it uses none that this library cannot honour."""
    optional = {*KNOWN, *GROUPS, CATEGORIES, TERMS, BIAS, OFFSET, REDUCTION, SHIFT, *RESERVED}
    optional = optional if header["version"] > 1 else set()
    _expect(KEYS <= header.keys() <= KEYS | optional, "its header has other fields")
    for name, values in RESERVED.items():
        value = header.get(name)
        unused = any(type(value) is type(one) and value == one for one in values)
        _expect(unused, f"it uses {name}, which this version of xlogreg cannot honour: update xlogreg")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name. Each is stored without compression, so that none can be larger than the file."""
    members: dict[str, zipfile.ZipInfo] = {}
    allowed = {HEADER, *(f"{name}.npy" for name in ARRAYS)}
    for info in archive.infolist():
        _expect(info.filename in allowed, f"it holds {info.filename[:60]!r}, which no model has")
        _expect(info.filename not in members, f"it holds {info.filename!r} twice")
        plain = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
        _expect(plain, f"{info.filename!r} is compressed or encrypted")
        _expect(0 <= info.file_size == info.compress_size <= size, f"{info.filename!r} declares more than the file has")
        members[info.filename] = info
    missing = allowed - members.keys() - {f"{name}.npy" for name in OPTIONAL}
    _expect(not missing, f"it lacks {', '.join(sorted(missing))}")
    return members


def _array(name: str, data: bytes) -> np.ndarray:
    """Read an array of floats; its bytes must be exactly as many as its declared shape and type need."""
    stream = io.BytesIO(data)
    _expect(npy.read_magic(stream) == (1, 0), f"{name!r} is of an unknown array format")
    shape, fortran, dtype = npy.read_array_header_1_0(stream)
    _expect(dtype.kind == "f" and dtype.itemsize in (2, 4, 8), f"{name!r} is of {dtype}, not of floats")
    _expect(len(shape) <= 2 and all(type(n) is int and n >= 0 for n in shape), f"{name!r} has the shape {shape}")
    rest = len(data) - stream.tell()
    _expect(math.prod(shape) * dtype.itemsize == rest, f"{name!r} declares {shape} of {dtype}, but has {rest} bytes")
    array = np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), order="C")


def _fields(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Check that the parts of a model fit together, and return its fields."""
    w, b, costs = arrays["w"], arrays["b"], arrays["costs"]
    n_classes = len(header["classes"]["values"])
    k = 1 if n_classes == 2 else n_classes
    _expect(w.ndim == 2 and w.shape[0] > 0, f"w has the shape {w.shape}")
    _expect(w.shape[1] == k, f"w has the shape {w.shape}, with {n_classes} classes")
    _expect(b.shape == (k, 1), f"b has the shape {b.shape}, with {n_classes} classes")
    _expect(costs.ndim == 1, f"costs has the shape {costs.shape}")
    _expect(("center" in arrays) == ("centered_b" in arrays), "center and centered_b go together")
    n_x, parameters = w.shape[0], (w.shape[0] + 1) * k
    shapes = {
        "center": (n_x, 1),
        "centered_b": (k, 1),
        "covariance": (parameters, parameters),
        "penalty_factor": (n_x,),
    }
    for name, shape in shapes.items():
        _expect(name not in arrays or arrays[name].shape == shape, f"{name} is not of the shape {shape}")
    for name in FINITE:
        _expect(name not in arrays or bool(np.all(np.isfinite(arrays[name]))), f"{name} is not finite")
    _expect(header["samples"] in ("columns", "rows"), f"samples is {header['samples']!r}")
    _expect(header["loss"] in LOSSES, f"the loss {header['loss']!r} is unknown")
    _expect((header["loss"] == "cross_entropy") == (k > 1), f"the loss is {header['loss']!r}, with {k} outputs")
    _expect(("covariance" in arrays) != isinstance(header["covariance"], str), "it has no covariance, or two")
    names = header["feature_names"]
    if names is not None:
        fit = isinstance(names, list) and len(names) == w.shape[0] and all(isinstance(name, str) for name in names)
        _expect(fit and len(set(names)) == len(names), f"feature_names are not {w.shape[0]} different names")
    return {
        "covariance": header["covariance"],
        **arrays,
        **_penalty(header, arrays.get("penalty_factor")),
        **_groups(header, n_x),
        BIAS: _bias(header, arrays["b"]),
        OFFSET: _offset(header),
        **_reduction(header, k),
        "classes": _classes(header["classes"]),
        "samples": header["samples"],
        "loss": header["loss"],
        "fit_info": _fit_info(header["fit_info"]),
        "feature_names": None if names is None else tuple(names),
        "encoding": encoding_from_json(header, names),
    }


def _bias(header: dict[str, Any], b: np.ndarray) -> bool:
    bias = header.get(BIAS, True)
    _expect(type(bias) is bool and (bias or not b.any()), f"bias is {str(bias)[:20]!r}")
    return bias


def _offset(header: dict[str, Any]) -> bool:
    offset = header.get(OFFSET)
    _expect(offset is None or type(offset) is bool, f"offset is {str(offset)[:20]!r}")
    return bool(offset)


def _reduction(header: dict[str, Any], k: int) -> dict[str, Any]:
    """Return the bias reduction and the shift of the scores, checked."""
    reduction, shift = header.get(REDUCTION), header.get(SHIFT)
    _expect(reduction is None or reduction in BIAS_REDUCTIONS, f"{REDUCTION} is {str(reduction)[:20]!r}")
    if shift is None:
        return {REDUCTION: reduction, SHIFT: None}
    numbers = isinstance(shift, list) and len(shift) == k and all(type(value) is float for value in shift)
    _expect(numbers and all(map(math.isfinite, shift)), f"{SHIFT} is not {k} finite numbers")
    return {REDUCTION: reduction, SHIFT: np.asarray(shift, np.float64)}


def _penalty(header: dict[str, Any], factor: np.ndarray | None) -> dict[str, Any]:
    """Return the fields `KNOWN`, checked; factors of the penalty must not be negative, and not be of version 1."""
    l1, l2, scale, relax = (header.get(name) for name in KNOWN)
    for name, value in {"l1": l1, "l2": l2, "relax": relax}.items():
        good = value is None or (type(value) in (float, int) and 0.0 <= value < math.inf)
        _expect(good, f"{name} is {str(value)[:20]!r}")
    plain = scale is None or type(scale) is bool or (type(scale) is float and 0.0 < scale < math.inf)
    _expect(plain, f"standardize is {str(scale)[:20]!r}")
    _expect(factor is None or header["version"] > 1, "version 1 has no penalty_factor")
    _expect(factor is None or bool(np.all(factor >= 0.0)), "penalty_factor is negative")
    # earlier versions, which knew no L1, wrote no such field
    l1 = 0.0 if l1 is None and l2 is not None else l1
    return {"l1": None if l1 is None else float(l1), "l2": l2, "standardize": scale, "relax": relax}


def _groups(header: dict[str, Any], n_x: int) -> dict[str, Any]:
    """Return the fields `GROUPS`, checked."""
    multinomial, penalty = (header.get(name, value) for name, value in GROUPS.items())
    _expect(multinomial in ("ungrouped", "grouped"), f"multinomial is {str(multinomial)[:20]!r}")
    if isinstance(penalty, list):
        whole = all(type(number) is int and abs(number) < 2**63 for number in penalty)
        _expect(whole and len(penalty) == n_x, f"penalty is not {n_x} whole numbers")
        return {"multinomial": multinomial, "penalty": np.asarray(penalty, np.int64)}
    _expect(penalty in ("each", "group"), f"penalty is {str(penalty)[:20]!r}")
    return {"multinomial": multinomial, "penalty": penalty}


def _classes(stored: Any) -> np.ndarray:
    dtype, values = stored["dtype"], stored["values"]
    _expect(isinstance(dtype, str) and DTYPE.fullmatch(dtype) is not None, f"classes are of {str(dtype)[:20]!r}")
    _expect(isinstance(values, list) and len(values) >= 2, "there are fewer than two classes")
    kind = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float), "U": (str,), "S": (str,)}[dtype[1]]
    _expect(all(type(value) in kind for value in values), f"classes are not all of {dtype}")
    _expect(len(set(values)) == len(values), "two classes are the same")
    if dtype[1] in "US":
        longest = max(len(value) for value in values)
        _expect(longest <= int(dtype[2:]), f"classes are longer than {dtype}")
        _expect(longest * len(values) <= LABEL_CHARACTERS, "its classes are too long")
        dtype = dtype[:2] + str(max(longest, 1))  # the declared length may ask for any amount of memory
        values = [value.encode("latin-1") for value in values] if dtype[1] == "S" else values
    with np.errstate(over="ignore"):
        classes = np.asarray(values, dtype=dtype)
    _expect(classes.tolist() == values, f"classes are not of {dtype}")
    _expect(bool(np.all(classes[1:] > classes[:-1])), "classes are not in order")
    return classes.astype(classes.dtype.newbyteorder("="))


def _as_json(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _fit_info(stored: Any) -> FitInfo:
    """Build the `FitInfo`, and check that each value has the type that its field declares.

    A field that has a default may be missing: older files do not have it.
    """
    hints = typing.get_type_hints(FitInfo)
    needed = {field.name for field in dataclasses.fields(FitInfo) if field.default is dataclasses.MISSING}
    _expect(isinstance(stored, dict) and needed <= stored.keys() <= hints.keys(), "fit_info has other fields")
    values: dict[str, Any] = {}
    for name in stored:
        hint = hints[name]
        allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        allowed = (*allowed, int) if float in allowed else allowed  # such as a whole number of passes
        value = float(stored[name]) if float in allowed and stored[name] in NOT_FINITE else stored[name]
        _expect(type(value) in allowed, f"fit_info.{name} is {str(value)[:20]!r}")
        _expect(type(value) is not int or abs(value) < 2**63, f"fit_info.{name} is too large")
        fit = value in WORDS.get(name, (value,)) and (name not in COUNTS or value is None or 0 < value < math.inf)
        _expect(fit, f"fit_info.{name} is {str(value)[:20]!r}")
        values[name] = value
    return FitInfo(**values)
