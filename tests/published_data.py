"""More published data sets: low birth weights, two on which Firth's method became known, and some of statsmodels'."""

import numpy as np
import pytest

# age, weight in pounds, race (white 1, black 2, other 3), smoking, premature labours, hypertension, irritability of the
# uterus -> low birth weight, of 189 births (Hosmer & Lemeshow 1989; lbw.dta of Stata)
LBW = """
19 182 2 0 0 0 1 0  33 155 3 0 0 0 0 0  20 105 1 1 0 0 0 0  21 108 1 1 0 0 1 0  18 107 1 1 0 0 1 0  21 124 3 0 0 0 0 0
22 118 1 0 0 0 0 0  17 103 3 0 0 0 0 0  29 123 1 1 0 0 0 0  26 113 1 1 0 0 0 0  19 95 3 0 0 0 0 0  19 150 3 0 0 0 0 0
22 95 3 0 0 1 0 0  30 107 3 0 1 0 1 0  18 100 1 1 0 0 0 0  18 100 1 1 0 0 0 0  15 98 2 0 0 0 0 0  25 118 1 1 0 0 0 0
20 120 3 0 0 0 1 0  28 120 1 1 0 0 0 0  32 121 3 0 0 0 0 0  31 100 1 0 0 0 1 0  36 202 1 0 0 0 0 0  28 120 3 0 0 0 0 0
25 120 3 0 0 0 1 0  28 167 1 0 0 0 0 0  17 122 1 1 0 0 0 0  29 150 1 0 0 0 0 0  26 168 2 1 0 0 0 0  17 113 2 0 0 0 0 0
17 113 2 0 0 0 0 0  24 90 1 1 1 0 0 0  35 121 2 1 1 0 0 0  25 155 1 0 0 0 0 0  25 125 2 0 0 0 0 0  29 140 1 1 0 0 0 0
19 138 1 1 0 0 0 0  27 124 1 1 0 0 0 0  31 215 1 1 0 0 0 0  33 109 1 1 0 0 0 0  21 185 2 1 0 0 0 0  19 189 1 0 0 0 0 0
23 130 2 0 0 0 0 0  21 160 1 0 0 0 0 0  18 90 1 1 0 0 1 0  18 90 1 1 0 0 1 0  32 132 1 0 0 0 0 0  19 132 3 0 0 0 0 0
24 115 1 0 0 0 0 0  22 85 3 1 0 0 0 0  22 120 1 0 0 1 0 0  23 128 3 0 0 0 0 0  22 130 1 1 0 0 0 0  30 95 1 1 0 0 0 0
19 115 3 0 0 0 0 0  16 110 3 0 0 0 0 0  21 110 3 1 0 0 1 0  30 153 3 0 0 0 0 0  20 103 3 0 0 0 0 0  17 119 3 0 0 0 0 0
17 119 3 0 0 0 0 0  23 119 3 0 0 0 0 0  24 110 3 0 0 0 0 0  28 140 1 0 0 0 0 0  26 133 3 1 2 0 0 0  20 169 3 0 1 0 1 0
24 115 3 0 0 0 0 0  28 250 3 1 0 0 0 0  20 141 1 0 2 0 1 0  22 158 2 0 1 0 0 0  22 112 1 1 2 0 0 0  31 150 3 1 0 0 0 0
23 115 3 1 0 0 0 0  16 112 2 0 0 0 0 0  16 135 1 1 0 0 0 0  18 229 2 0 0 0 0 0  25 140 1 0 0 0 0 0  32 134 1 1 1 0 0 0
20 121 2 1 0 0 0 0  23 190 1 0 0 0 0 0  22 131 1 0 0 0 0 0  32 170 1 0 0 0 0 0  30 110 3 0 0 0 0 0  20 127 3 0 0 0 0 0
23 123 3 0 0 0 0 0  17 120 3 1 0 0 0 0  19 105 3 0 0 0 0 0  23 130 1 0 0 0 0 0  36 175 1 0 0 0 0 0  22 125 1 0 0 0 0 0
24 133 1 0 0 0 0 0  21 134 3 0 0 0 0 0  19 235 1 1 0 1 0 0  25 95 1 1 3 0 1 0  16 135 1 1 0 0 0 0  29 135 1 0 0 0 0 0
29 154 1 0 0 0 0 0  19 147 1 1 0 0 0 0  19 147 1 1 0 0 0 0  30 137 1 0 0 0 0 0  24 110 1 0 0 0 0 0  19 184 1 1 0 1 0 0
24 110 3 0 1 0 0 0  23 110 1 0 0 0 0 0  20 120 3 0 0 0 0 0  25 241 2 0 0 1 0 0  30 112 1 0 0 0 0 0  22 169 1 0 0 0 0 0
18 120 1 1 0 0 0 0  16 170 2 0 0 0 0 0  32 186 1 0 0 0 0 0  18 120 3 0 0 0 0 0  29 130 1 1 0 0 0 0  33 117 1 0 0 0 1 0
20 170 1 1 0 0 0 0  28 134 3 0 0 0 0 0  14 135 1 0 0 0 0 0  28 130 3 0 0 0 0 0  25 120 1 0 0 0 0 0  16 95 3 0 0 0 0 0
20 158 1 0 0 0 0 0  26 160 3 0 0 0 0 0  21 115 1 0 0 0 0 0  22 129 1 0 0 0 0 0  25 130 1 0 0 0 0 0  31 120 1 0 0 0 0 0
35 170 1 0 1 0 0 0  19 120 1 1 0 0 0 0  24 116 1 0 0 0 0 0  45 123 1 0 0 0 0 0  28 120 3 1 1 0 1 1  29 130 1 0 0 0 1 1
34 187 2 1 0 1 0 1  25 105 3 0 1 1 0 1  25 85 3 0 0 0 1 1  27 150 3 0 0 0 0 1  23 97 3 0 0 0 1 1  24 128 2 0 1 0 0 1
24 132 3 0 0 1 0 1  21 165 1 1 0 1 0 1  32 105 1 1 0 0 0 1  19 91 1 1 2 0 1 1  25 115 3 0 0 0 0 1  16 130 3 0 0 0 0 1
25 92 1 1 0 0 0 1  20 150 1 1 0 0 0 1  21 200 2 0 0 0 1 1  24 155 1 1 1 0 0 1  21 103 3 0 0 0 0 1  20 125 3 0 0 0 1 1
25 89 3 0 2 0 0 1  19 102 1 0 0 0 0 1  19 112 1 1 0 0 1 1  26 117 1 1 1 0 0 1  24 138 1 0 0 0 0 1  17 130 3 1 1 0 1 1
20 120 2 1 0 0 0 1  22 130 1 1 1 0 1 1  27 130 2 0 0 0 1 1  20 80 3 1 0 0 1 1  17 110 1 1 0 0 0 1  25 105 3 0 1 0 0 1
20 109 3 0 0 0 0 1  18 148 3 0 0 0 0 1  18 110 2 1 1 0 0 1  20 121 1 1 1 0 1 1  21 100 3 0 1 0 0 1  26 96 3 0 0 0 0 1
31 102 1 1 1 0 0 1  15 110 1 0 0 0 0 1  23 187 2 1 0 0 0 1  20 122 2 1 0 0 0 1  24 105 2 1 0 0 0 1  15 115 3 0 0 0 1 1
23 120 3 0 0 0 0 1  30 142 1 1 1 0 0 1  22 130 1 1 0 0 0 1  17 120 1 1 0 0 0 1  23 110 1 1 1 0 0 1  17 120 2 0 0 0 0 1
26 154 3 0 1 1 0 1  20 106 3 0 0 0 0 1  26 190 1 1 0 0 0 1  14 101 3 1 1 0 0 1  28 95 1 1 0 0 0 1  14 100 3 0 0 0 0 1
23 94 3 1 0 0 0 1  17 142 2 0 0 1 0 1  21 130 1 1 0 1 0 1
"""
# neovascularisation, pulsatility index of the arteria uterina, height of the endometrium -> high histological grade, of
# 79 cases of endometrial cancer (Heinze & Schemper 2002; Agresti 2015); no low grade has neovascularisation
ENDOMETRIAL = """
0 13 1.64 0  0 16 2.26 0  0 8 3.14 0  0 34 2.68 0  0 20 1.28 0  0 5 2.31 0  0 17 1.80 0  0 10 1.68 0  0 26 1.56 0
0 17 2.31 0  0 8 2.01 0  0 7 1.89 0  0 20 3.15 0  0 10 1.23 0  0 18 1.27 0  0 16 1.76 0  0 18 2.00 0  0 8 2.64 1
0 29 0.88 1  0 12 1.27 1  0 20 1.37 1  1 38 0.97 1  1 22 1.14 1  1 7 0.88 1  1 25 0.91 1  1 15 0.58 1  0 7 0.97 1
0 28 1.50 0  0 11 1.33 0  0 19 2.37 0  0 10 1.82 0  0 10 3.13 0  0 18 1.31 0  0 14 1.92 0  0 21 1.64 0  0 11 2.01 0
0 17 1.88 0  0 25 1.93 0  0 16 2.11 0  0 19 1.29 0  0 15 1.72 0  0 33 0.75 0  0 24 1.92 0  0 48 1.84 1  0 12 1.11 1
0 19 1.61 1  0 2 1.18 1  1 22 1.44 1  1 40 1.18 1  1 5 0.93 1  1 0 1.17 1  0 21 1.19 1  0 15 1.06 1  0 29 2.02 0
0 15 2.29 0  0 12 2.33 0  0 3 2.90 0  0 20 1.70 0  0 23 1.41 0  0 12 2.25 0  0 22 1.54 0  0 42 1.97 0  0 15 1.75 0
0 13 2.16 0  0 14 2.57 0  0 19 1.37 0  0 12 3.61 0  0 13 2.04 0  0 10 2.17 0  0 12 1.69 1  1 49 0.27 1  0 6 1.84 1
0 5 1.30 1  0 17 0.96 1  1 11 1.01 1  1 21 0.98 1  0 5 0.35 1  1 19 1.02 1  0 33 0.85 1
"""
# age of 24 or more, use of oral contraceptives, condoms, lubricated condoms, spermicide, diaphragm -> urinary tract
# infection, and how many of 239 women (Cytel 2010, LogXact 9 manual; sex2 of R's logistf); all with diaphragms have it
SEX2 = """
0 0 0 0 1 0 0 1  0 0 0 0 1 0 1 1  0 0 1 0 0 0 0 2  0 0 1 0 0 0 1 14  0 0 1 0 1 0 0 1  0 0 1 0 1 0 1 3  0 0 1 1 0 0 0 8
0 0 1 1 0 0 1 10  0 0 1 1 1 0 0 18  0 0 1 1 1 0 1 12  0 0 1 1 1 1 1 1  0 1 0 0 0 0 0 42  0 1 0 0 0 0 1 44
0 1 0 0 0 1 1 3  0 1 0 0 1 0 0 1  0 1 1 0 0 0 0 1  0 1 1 0 0 0 1 15  0 1 1 0 0 1 1 1  0 1 1 0 1 0 1 2  0 1 1 1 0 0 0 5
0 1 1 1 0 0 1 7  0 1 1 1 1 0 0 6  0 1 1 1 1 0 1 3  1 0 1 0 0 0 1 2  1 0 1 0 1 0 1 1  1 0 1 0 1 1 1 1  1 0 1 1 0 0 0 2
1 0 1 1 0 0 1 1  1 0 1 1 1 0 0 4  1 0 1 1 1 1 1 1  1 1 0 0 0 0 0 14  1 1 0 0 0 0 1 5  1 1 0 0 1 0 0 1  1 1 1 0 0 0 0 1
1 1 1 0 0 0 1 3  1 1 1 1 1 0 0 2
"""


def _numbers(text, columns):
    return np.asarray(text.split(), dtype=float).reshape(-1, columns)


def lbw():
    """X (8, 189): age, weight, black, other, smoking, premature labours, hypertension, irritability; Y (189,)."""
    age, weight, race, smoke, labours, hypertension, irritability, low = _numbers(LBW, 8).T
    return np.stack([age, weight, race == 2, race == 3, smoke, labours, hypertension, irritability]).astype(float), low


def endometrial():
    """X (3, 79), Y (79,)."""
    data = _numbers(ENDOMETRIAL, 4)
    return data[:, :3].T, data[:, 3]


def sex2():
    """X (6, 239), Y (239,)."""
    data = _numbers(SEX2, 8)
    data = np.repeat(data[:, :7], data[:, 7].astype(int), axis=0)
    return data[:, :6].T, data[:, 6]


def _of_statsmodels(name):
    return getattr(pytest.importorskip("statsmodels.datasets", reason=f"statsmodels brings the data {name}"), name)


def fair():
    """X (8, 6366), Y (6366,): whether there were affairs (Fair 1978)."""
    data = _of_statsmodels("fair").load_pandas()
    return data.exog.to_numpy().T.astype(float), (data.endog.to_numpy() > 0).astype(float)


def anes96():
    """X (5, 944), Y (944,) from 0 to 6: the party with which a voter identifies (American National Election 1996)."""
    data = _of_statsmodels("anes96").load_pandas()
    return data.exog.to_numpy().T.astype(float), data.endog.to_numpy().astype(float)


def star98():
    """X (20, 303), counts (2, 303): students of a district below the national median in mathematics, and above it."""
    data = _of_statsmodels("star98").load_pandas()
    return data.exog.to_numpy().T.astype(float), data.endog.to_numpy()[:, ::-1].T.astype(float)


def clusters_of(name, X):
    """Numbers (m,) of clusters, made from X (n_x, m): samples that share a value, or neighbours where none do."""
    if name == "star98":
        return np.arange(X.shape[1]) // 10
    rows = {"spector": [1], "o_rings": [0], "lbw": [0], "fair": [1, 5], "anes96": [0]}[name]
    return np.unique(X[rows], axis=1, return_inverse=True)[1].ravel()


# Seeds that are left out. Nearly all give classes that are separated wholly. There the penalised likelihood can have
# two maxima while one coefficient is held, and the end of a profile depends on which of them is followed.
LEFT_OUT = {5, 8, 14, 17, 20, 23, 26, 27, 32, 38, 44, 46, 47, 49, 53, 54, 56, 59, 62, 65}
SEPARATED = tuple(seed for seed in range(70) if seed not in LEFT_OUT)


def separated(seed):
    """X (2 to 5, 20 to 80), Y of 0 and 1, separated wholly or in part; two decimals, so that sums are exact enough.

    Of each three sets one has a feature that is 1 in a few samples of the second class alone, one a feature that is 0
    in all but a few samples of one class, and one a direction along which the classes lie apart.
    """
    rng = np.random.RandomState(seed)  # its stream is frozen, unlike that of default_rng
    p, m = rng.randint(2, 6), rng.randint(20, 81)
    X = np.round(rng.standard_normal((p, m)), 2)
    Z = rng.standard_normal(p) @ X + rng.standard_normal()
    Y = (rng.random_sample(m) < 1 / (1 + np.exp(-Z))).astype(float)
    Y[:2] = 0.0, 1.0
    if seed % 3 == 0:
        X[0] = (rng.random_sample(m) < 0.3) * Y
        X[0, 1] = 1.0
    elif seed % 3 == 1:
        X[0] = np.round((1 - Y) * rng.random_sample(m) * (rng.random_sample(m) < 0.4), 2)
        X[0, 0] = 0.5
    else:
        X[0] = np.round(np.where(Y == 1, 1.0, -1.0) * (0.05 + np.abs(X[0])), 2)
    return X, Y
