"""What the workers of a running server hold, as the system sees it."""

import psutil

from loadtest.server import Server


def established(server: Server, worker: psutil.Process) -> int:
    """Connections that a worker holds."""
    port = int(server.url.rsplit(":")[-1])
    found = worker.net_connections(kind="tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in found)
