"""`python -m infra.stripe_simulator --port 12111`: the simulator on its own, until Ctrl-C."""

import argparse
import signal
import sys
import threading

from infra.stripe_simulator.clock import RunningClock
from infra.stripe_simulator.server import serve
from infra.stripe_simulator.settings import DEFAULT_KEY
from infra.stripe_simulator.simulator import StripeSimulator


def main() -> int:
    """Serve until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="python -m infra.stripe_simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        with serve(StripeSimulator(RunningClock()), options.port, options.host) as served:
            sys.stdout.write(f"Stripe simulator at {served.url}, key {DEFAULT_KEY}\n")
            sys.stdout.flush()
            ended.wait()
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        parser.error(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; try another --port"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
