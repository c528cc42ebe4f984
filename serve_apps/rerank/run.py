"""Serve an application's YAML until SIGTERM or an interrupt, and answer first what was asked by then.

    python -m serve_apps.rerank.run serve_apps/rerank/app.yaml     # from the repository's root

As `serve run`, which ends under its requests, with a Ray of its own or the one that RAY_ADDRESS names. A Ray of its own
has `front` in its proxy. While the last requests are answered, new ones get 503; a second signal ends at once.
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import yaml
from ray.serve.schema import LoggingConfig, ServeApplicationSchema, ServeDeploySchema

from pinrank.errors import PinrankError
from serve_apps.rerank import front

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Start, wait, drain, stop. Returns 2 when the YAML cannot be served."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, help="a Serve config with one application")
    config = ServeDeploySchema.model_validate(yaml.safe_load(parser.parse_args().config.read_text()))
    try:
        serve_until_told(config)
    except PinrankError as cause:
        print(f"error: {cause}", file=sys.stderr)
        return 2
    return 0


def serve_until_told(config: ServeDeploySchema) -> None:
    """Serve the one application of a config until a signal. Raises PinrankError when it cannot be served."""
    import ray
    from ray import serve

    from serve_apps.rerank.app import build
    from serve_apps.rerank.settings import RerankSettings

    app = only_application(config)
    application = build(RerankSettings.model_validate(app.args))  # before Ray is started, for what is wrong with it
    tell_processes()
    ray.init(address=os.environ.get("RAY_ADDRESS"), namespace="serve", runtime_env=app.runtime_env)
    told = when_told()
    try:
        serve.start(proxy_location=config.proxy_location, http_options=config.http_options.model_dump())
        logging = config.logging_config or LoggingConfig()
        serve.run(application, name=app.name, route_prefix=app.route_prefix, logging_config=logging)
        told.wait()
        print("answering what is under way, then stopping", file=sys.stderr, flush=True)
        serve.delete(app.name)
    finally:
        serve.shutdown()
        ray.shutdown()


def only_application(config: ServeDeploySchema) -> ServeApplicationSchema:
    """The application of a config. Raises PinrankError when there is more than one, or none."""
    if len(config.applications) != 1:
        names = ", ".join(app.name for app in config.applications) or "none"
        raise PinrankError(f"the config has the applications {names}. Give one here, or use serve deploy.")
    return config.applications[0]


def tell_processes() -> None:
    """Let the processes of a Ray that is started here find this code, and its proxies `front`, soon after they died."""
    found = os.environ.get("PYTHONPATH")
    paths = [str(ROOT), str(ROOT / "platform"), *([found] if found else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ.setdefault(front.VARIABLE, front.HERE)
    os.environ.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "1")  # three of 10 s pass before one is replaced
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")  # glibc's pools of memory: each keeps what a crowd has left


def when_told() -> threading.Event:
    """An event that the first SIGTERM or SIGINT sets; the second does what it always did."""
    told = threading.Event()
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def tell(number: int, frame: object) -> None:
        for each, handler in before.items():
            signal.signal(each, handler)
        told.set()

    for each in before:
        signal.signal(each, tell)
    return told


if __name__ == "__main__":
    sys.exit(main())
