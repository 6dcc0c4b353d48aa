"""The running service: the scorer, the edges that call it, settings, metrics and errors.

Imports decisions, model and preprocessing; never xgboost, sklearn or pandas.
"""

VERSION = "0.1.0"
