"""From a caller's bytes to the model's matrix: the schema, decoding, encoding and features.

Knows no HTTP, no BentoML, no metrics. `schema.py` and `features.py` are the only files that know a field by name;
swap them (and `model/data/applications.csv`) to serve another table.
"""
