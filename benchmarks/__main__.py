"""Run every benchmark, each in its own process, and write benchmarks/results.json.

python -m benchmarks
"""

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "__main__", "record"}


def main() -> int:
    """Run all; a benchmark that fails is named and makes the exit code 1, the others still run."""
    results, failed = [], []
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem in NOT_BENCHMARKS:
            continue
        print(f"benchmarks.{path.stem}", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, "-m", f"benchmarks.{path.stem}"], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            failed.append(path.stem)
            continue
        results.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(results[-1]["ratios"], indent=2), file=sys.stderr)
    (FOLDER / "results.json").write_text(json.dumps(results, indent=2))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
