"""The record of what was decided: the log, the stores behind it, and what is made of them later."""
