"""A head with the service on all interfaces, until standard input ends.

python -m tests.exposed_cluster STUDENT PIN_STORE HTTP_PORT

It prints a line of JSON: what the Jobs API answers with no token, a wrong one, the right one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.running_head import running_head

ROOT = Path(__file__).resolve().parent.parent


def main(student: str, pin_store: str, port: str) -> None:
    """Start, deploy, ask, wait."""
    with running_head() as head:
        python_path = os.pathsep.join([str(ROOT / "platform"), str(ROOT)])
        environment = head.environment | {"RAY_ADDRESS": head.gcs, "PYTHONPATH": python_path}
        command = [sys.executable, "-m", "tests.serve_apps.deployed", student, pin_store, "0.0.0.0", port]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=sys.stderr, timeout=240)
        statuses = [
            httpx.get(f"{head.address}/api/jobs/", headers=header).status_code
            for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {head.token}"})
        ]
        print(json.dumps(statuses), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
