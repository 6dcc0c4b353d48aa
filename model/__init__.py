"""The model's life: training, export to one ONNX graph, the artefact, the policy, the report.

Only `train.py` and `export.py` may import xgboost; the service imports `artifact.py`, `graph.py` and `policy.py` alone.
"""
