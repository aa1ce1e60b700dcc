"""
The computation graph of one sample
===================================

Values flow from left to right (blue), and derivatives from right to left (red), each by one step of the chain rule.
This is how the gradient of logistic regression comes about, and what every library of neural networks does.
"""

from xlogreg.graph import Variable, log, sigmoid

x, w, b = 2.0, Variable(0.5, "w"), Variable(0.1, "b")
z = (w * x + b).named("z")
a = sigmoid(z).named("a")  # the probability that y = 1
L = (-log(a)).named("L")  # the loss, where y is 1
L
