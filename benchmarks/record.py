"""What a benchmark prints: one JSON line with ratios that were measured in one run."""

import json
import os

from pinrank.pipeline import versions


def print_result(name: str, ratios: dict[str, float], rounds: int) -> None:
    """Print the result as the last line: name, ratios, rounds, load average of the last minute, versions."""
    line = {
        "name": name,
        "ratios": {key: round(value, 4) for key, value in ratios.items()},
        "rounds": rounds,
        "load_average": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }
    print(json.dumps(line), flush=True)
