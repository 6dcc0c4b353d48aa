"""The load test: real applications against a real server, judged by thresholds."""
