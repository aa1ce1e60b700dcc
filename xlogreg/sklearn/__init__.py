"""scikit-learn's estimators, fitted by xlogreg."""
