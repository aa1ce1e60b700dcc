"""`fit`: the steps from (X, Y) to a Model. They read like a table of contents; other modules do the work."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.fitting.bias_reduction import conclusion_of
from xlogreg.fitting.checkpoint import checkpoint_path, keeping
from xlogreg.fitting.monitors import Following, begin
from xlogreg.fitting.outcome import model_of
from xlogreg.fitting.problem import pose
from xlogreg.fitting.progress import State
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.options import Options
from xlogreg.model.model import Model
from xlogreg.samples.intake import Arrival, receive, within_memory
from xlogreg.samples.threads import holds_threads

__all__ = ["fit"]


@holds_threads
def fit(
    X: Any,
    Y: Any = None,
    *,
    samples: str = "columns",
    backend: str | None = None,
    device: Any = None,
    dtype: Any = None,
    fallback: bool = True,
    solver: str = "auto",
    loss: str = "log_loss",
    l1: float = 0.0,
    l2: float = 0.0,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    multinomial: str = "ungrouped",
    penalty: Any = "each",
    bias: bool = True,
    bias_reduction: str | None = None,
    prior: Any = None,
    relax: float | None = None,
    sample_weight: Any = None,
    offset: Any = None,
    targets: str = "labels",
    standardize: bool | float = False,
    categorical_features: Any = None,
    drop: str | None = "auto",
    reference: dict[str, Any] | None = None,
    unseen: str = "error",
    missing: str = "error",
    learning_rate: float | str = "auto",
    max_iter: int | None = None,
    tol: float | None = None,
    initial: Any = None,
    rng: int | np.random.Generator = 0,
    callback: Callable[[State], Any] | None = None,
    verbose: int = 0,
    time_limit: float | None = None,
    checkpoint: str | os.PathLike | None = None,
) -> Model:
    """Fit a logistic regression: two classes by sigmoid, more by softmax.

    Minimises J(w, b) = (1/s) sum_i s_i L(a_i, y_i) + l1 ||w||_1 + (l2/2) ||w||^2, where s is the sum of the sample
    weights s_i (m without) and the bias is never penalised (notes 1.3, 2.8).

    Parameters
    ----------
    X : array (n_x, m)
        Samples are columns, as in the notes. An array of NumPy, CuPy, PyTorch, JAX or array-api-strict, or
        anything that NumPy makes an array of. It may have any real dtype and layout, and is never changed. With
        samples="rows" also a frame of pandas, polars or Arrow whose columns are numbers or
        ``categorical_features``; the model keeps their names. Or a sparse matrix of SciPy, CuPy, PyTorch or JAX,
        which is not made dense but where it is small; see docs/sparse.md.
        Data that are not in memory are read block by block: a memory map, any object with a shape, a dtype and slices
        (data sets of h5py and zarr), `xlogreg.open_parts`. Or a factory: a function without arguments that returns an
        iterator of blocks (X, Y) or (X, Y, sample_weight), anew for each pass; see docs/large_data.md.
        The workers of the dask client fit arrays and frames of dask, with Y and sample_weight; see docs/scaling.md.
    Y : array (1, m) or (m,), or (K, m)
        Two or more distinct labels (numbers, bools, strings), or one-hot columns. May live on the host
        wherever X lives. Left out if X is a factory.
    samples : {"columns", "rows"}
        "rows" takes X (m, n_x), the layout of tables, without a copy; the model then predicts for rows, too.
    backend : {None, "auto", "numpy", "cupy", "torch", "jax", "array-api-strict"}
        Where to compute. None: where X lives. "auto": CuPy if X is large host data and CuPy works here.
        In any case the parameters come back to where X lives.
    device : optional
        A device of that backend, such as "cuda:0".
    dtype : {None, "float32", "float64"}
        The type to compute in. None: float32 for float32 and for types of 8 and 16 bits, else float64.
    fallback : bool
        Whether to compute where X lives, with a `BackendFallbackWarning`, if the backend or the device does
        not work on this machine. False: `BackendUnavailableError`.
    solver : {"auto", "gd", "newton", "lbfgs"}
        "gd" is gradient descent exactly as in the notes, "newton" uses a fresh Hessian at each step (up to 5,000
        parameters), "lbfgs" uses gradients only. "auto" takes gradients, and Hessians of all samples or of a random
        subset where they cost less than the gradients that they save, see docs/engine.md.
    loss : {"log_loss", "squared_error"}
        The squared error is for two classes and for "gd" only; its cost is not convex.
    l1 : float
        L1 penalty, on the scale of the mean loss. Weights that are not worth it are zero, to the bit; see
        docs/selection.md. For solver="auto".
    l2 : float
        Penalty, on the scale of the mean loss: scikit-learn's C is 1 / (l2 s), the lambda of the notes is l2 m.
    penalty_factor : array (n_x,), optional
        Factors f_j of the penalties, as of glmnet but not rescaled: J has
        ``l1 sum_j f_j |w_j| + (l2/2) sum_j f_j w_j^2``, in standardised coordinates with standardize=True. A feature
        of factor 0 is not penalised. One for each feature, in their order, all >= 0. Without a penalty they do nothing.
    lower, upper : float, or array (n_x,), optional
        Bounds of the weights, for X as handed in: lower <= 0 <= upper. lower=0 keeps all weights from being negative.
        For solver="auto".
    multinomial : {"ungrouped", "grouped"}
        "grouped": with three classes or more, l1 selects a feature for all classes or for none, as type.multinomial of
        glmnet does: J has ``l1 sum_j f_j ||w_j||``, where w_j are the weights of feature j. Without l1 it does nothing.
    penalty : {"each", "group"}, or array (n_x,) of whole numbers
        "group": l1 selects all levels of a categorical column, or none of them (group lasso): J has
        ``l1 sum_g sqrt(p_g) ||f o w_g||``, where p_g features of the column have a penalty. An array says to which
        group each feature belongs. Without l1 it does nothing; see docs/selection.md.
    bias : bool
        Whether to fit b.
    bias_reduction : {None, "firth", "flic"}
        For two classes, without another penalty. "firth": Jeffreys' penalty, which takes out the first-order bias of
        the parameters, and keeps them finite also if the classes are separated (Firth 1993; Heinze & Schemper 2002).
        The minimised function is the mean log loss minus ``log det(I) / (2 s)`` for the Fisher information I; its value
        depends on units, so the cost that is reported is the mean log loss alone. It is not convex, so the gap is that
        to the nearest minimum: ``gap_known`` is "local". "flic": the bias is then fitted once more without the penalty,
        so that the mean probability is the share of the second class (Puhr et al. 2017); ``score_shift`` of the model
        has the difference. For up to 5,000 features.
    prior : float in (0, 1), or array (K,), optional
        Share of the second class in the population, or the share of each class, if the samples (by weight) have other
        shares: case-control samples, or class weights. Each score loses ``log(share / prior)`` of its class, for two
        classes the difference of both (prior correction of King & Zeng 2001). ``score_shift`` of the model has it:
        predictions and `Model.evaluate` use it, while the cost, the gap and standard errors are those before.
    relax : float, optional
        The l2 of a second fit, on the features whose weights l1 has left other than zero: the relaxed lasso
        (Meinshausen 2007, with phi = 0). The report and the parameters are those of the second fit, and steps and
        passes are those of both. It is not made where the first one warns; see docs/selection.md.
    sample_weight : array (m,), optional
        Not negative.
    offset : array (m,) or (1, m), or (K, m) for K classes, optional
        A known term that is added to the scores of each sample, such as the log-odds of a model fitted before, or of a
        share that is known: z = w'x + b + offset (McCullagh & Nelder 1989, section 6.2). (m, K) for samples="rows", as
        one-hot Y. The model then needs the offset of the samples that it predicts.
    targets : {"labels", "probabilities"}
        "probabilities": Y (1, m) in [0, 1], or (K, m) with columns that sum to one.
    standardize : bool or float
        True: fit on features of zero mean and unit variance. A number: fit on X divided by it (255 for pictures).
        X is scaled block by block. The penalty and the steps of "gd" are those of the standardised features; the
        parameters that come back are for X as handed in. If many models are fitted (`fit_many`, `fit_cv`,
        `bootstrap`), each uses the mean and variance of its own samples.
    categorical_features : {None, "from_dtype"} or list of str
        Columns of a frame to take as categories: those of a dtype of categories or enums, or these, of text, numbers or
        bools. Each level becomes a feature, such as "city=Paris"; see docs/tables.md.
    drop : {"auto", "first", None}
        Whether the first level of a category gets no feature. "auto": if there is a bias and no penalty, as standard
        errors need it. None: no.
    reference : dict, optional
        The levels that are dropped instead of the first, such as {"city": "Paris"}; these also with a penalty.
    unseen : {"error", "zeros"}
        What a level means in predictions that the fitted frame did not have: an error, or zeros in the features of its
        column.
    missing : {"error", "median", "mean"}
        What becomes of missing values of a frame: an error; or numbers are replaced by the median or the mean of their
        column, by weight, beside a feature "age missing", and categories get a level "city missing".
    learning_rate : float or "auto"
        For "gd". "auto" is 1/L, where L is the largest curvature of J that the data allow.
    max_iter : int, optional
        1000 for "gd", 100 for "newton", 2000 for the others.
    tol : float, optional
        Stop when the gap J - min J is at most ``tol * J``. 1e-12 in float64, 1e-9 in float32; "gd" makes
        ``max_iter`` steps unless tol is given. Without a penalty a larger tol saves little: steps have to come
        to rest before it is known that there is a minimum.
    initial : Model or (w, b), optional
        Where to start, for X as handed in. "gd" starts at zero otherwise.
    rng : int or numpy.random.Generator
        Draws the subsets of "auto", and the start of the power iteration behind ``learning_rate="auto"``. The same
        number gives the same bits.
    callback : callable, optional
        Called with a `State` before each update; return True to stop.
    verbose : int
        1 shows a progress line.
    time_limit : float, optional
        Seconds after which the fit ends with the best parameters so far, the reason "time_limit" and what is known
        about their gap. A step is not begun if it would end too late, judged by the time of the step before.
    checkpoint : str or path, optional
        A file to write the model to, as `Model.save` does: every 30 seconds, when Ctrl-C or an error ends the fit,
        and when it is done. ``initial=xlogreg.load(checkpoint)`` goes on from there. See docs/faults.md.

    Returns
    -------
    Model

    Raises
    ------
    ValueError, TypeError
        If an input is wrong; the message names the argument, its value and what is right.
    FileNotFoundError
        If the folder of the checkpoint is not there.
    BackendUnavailableError
        See ``fallback``.
    BlockError
        If a block of X cannot be read, or has changed since the first pass.
    WorkersLostError
        If the workers that have X, or their scheduler, are lost for good.

    Warns
    -----
    BackendFallbackWarning, CheckpointWarning, ConvergenceWarning, DivergenceWarning, PrecisionWarning,
    SeparationWarning

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.asarray([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    >>> Y = np.asarray([[0, 0, 1, 0, 1, 1]])
    >>> model = xlogreg.fit(X, Y)
    >>> model.w.round(4), model.b.round(4)
    (array([[1.214]]), array([[-4.2491]]))
    >>> model.fit_info.converged
    True
    """
    began = time.perf_counter()
    options = Options(
        solver=solver,
        loss=loss,
        l1=l1,
        l2=l2,
        penalty_factor=penalty_factor,
        lower=lower,
        upper=upper,
        relax=relax,
        multinomial=multinomial,
        penalty=penalty,
        bias=bias,
        bias_reduction=bias_reduction,
        prior=prior,
        standardize=standardize,
        learning_rate=learning_rate,
        max_iter=max_iter,
        tol=tol,
        rng=rng,
        callback=callback,
        verbose=verbose,
        time_limit=time_limit,
    )
    path = checkpoint_path(checkpoint)
    where = Where(backend, device, dtype, fallback)
    table = TableOptions.of(
        [options],
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        unseen=unseen,
        missing=missing,
    )
    received = receive(X, Y, sample_weight, samples, targets, where, options, table, apart=True, offset=offset)
    arrival, encoded, weight = received
    (options,) = arrival.origin.settled([options])

    def fitted(arrival: Arrival) -> Model:
        begin([options], 1)
        origin, source = arrival.origin, arrival.samples.holding(encoded, weight)
        lost = source.lost_class(encoded)
        if lost is not None:
            raise ValueError(f"sample_weight is zero for every sample of class {encoded.classes.tolist()[lost]!r}")
        problem = pose(source, encoded, initial, options)
        with keeping(path, origin, encoded, options, problem, began) as kept:
            conclude = conclusion_of(options)
            problem, result, verdict = conclude(origin, problem, options, kept, hard=encoded.hard)
            seconds = time.perf_counter() - began
            model = model_of(origin, encoded, options, problem, result.costs, verdict, seconds)
            if kept is not None:
                kept.write(model)
        if options.course is not None:
            options.course.judged(model.fit_info)
        return model

    with Following("fit", arrival, [options], began) as (options,):
        return within_memory(arrival, fitted)
