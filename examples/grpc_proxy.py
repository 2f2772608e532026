"""Stand between hundreds of workers and one database, so that it sees few connections.

Beside the database: ``python examples/grpc_proxy.py postgresql://optuna@server/optuna``, then on
each worker ``optuna-de search --storage grpc://proxy:13000``. The proxy listens on loopback unless
``--host`` says otherwise; it asks no password, so let only workers reach its port.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor

from optuna.storages import run_grpc_proxy_server

from optuna_de import open_storage


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("storage", help="URL of a database")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=13000)
    parser.add_argument("--threads", type=int, default=10, help="requests served at a time")
    args = parser.parse_args()
    storage = open_storage(args.storage, pool_size=args.threads)
    pool = ThreadPoolExecutor(args.threads)
    run_grpc_proxy_server(storage, host=args.host, port=args.port, thread_pool=pool)


if __name__ == "__main__":
    main()
