"""A real Ray cluster on 127.0.0.1, a head and two workers, whose machines a test can kill.

`python -m tests.ray_cluster` prints the cluster's address. For every process id on stdin it kills
the worker on which that process runs a task, with all its other processes. The cluster ends when
stdin does. Its clients need the token in ~/.ray/auth_token.
"""

import os
import sys

# Ray reads these when it is imported. It then listens on 127.0.0.1 only and sends no statistics.
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
