"""The algorithm of the notes, section 1.10, as they write it down: loops over samples and features."""

import math


def loop_gradients(X, Y, w, b):
    """J, dw, db of X (n_x, m), Y (m,), w (n_x,), b, all accumulated one number at a time."""
    n_x, m = len(X), len(Y)
    J, db, dw = 0.0, 0.0, [0.0] * n_x
    for i in range(m):
        z = b
        for j in range(n_x):
            z += w[j] * X[j][i]
        a = 1.0 / (1.0 + math.exp(-z))
        J += -(Y[i] * math.log(a) + (1 - Y[i]) * math.log(1 - a))
        dz = a - Y[i]
        for j in range(n_x):
            dw[j] += X[j][i] * dz
        db += dz
    return J / m, [value / m for value in dw], db / m


def loop_descent(X, Y, learning_rate, iterations, w=None, b=0.0):
    """w, b and the costs J before each update."""
    w = [0.0] * len(X) if w is None else list(w)
    costs = []
    for _ in range(iterations):
        J, dw, db = loop_gradients(X, Y, w, b)
        costs.append(J)
        w = [value - learning_rate * slope for value, slope in zip(w, dw, strict=True)]
        b -= learning_rate * db
    return w, b, costs
