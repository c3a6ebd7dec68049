"""A real Ray cluster of a head and workers on 127.0.0.1, whose machines can be killed.

`python -m tests.ray_cluster` prints its address; a process number on stdin kills the worker, with
everything that runs on it, of which that process is a task. It ends with its stdin. Who connects
needs the token in ~/.ray/auth_token.
"""

import os
import sys

# Read when Ray is imported: nothing listens on another address, and nothing is reported.
os.environ.update(
    RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="token"
)

import psutil
import ray.cluster_utils

WORKERS = 2
OPTIONS = {
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
    "object_store_memory": 200_000_000,
}


def main() -> None:
    """Run the cluster until stdin ends."""
    cluster = ray.cluster_utils.Cluster()
    cluster.add_node(num_cpus=0, **OPTIONS)
    workers = [cluster.add_node(num_cpus=1, **OPTIONS) for _ in range(WORKERS)]
    print(f"address {cluster.address}", flush=True)
    for line in sys.stdin:
        for worker in workers:
            (raylet,) = worker.all_processes["raylet"]
            if raylet.process.pid == psutil.Process(int(line)).ppid():
                cluster.remove_node(worker, allow_graceful=False)
                print("killed", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
