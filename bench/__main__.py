"""`make bench`, or `python -m bench NAME …` for some of them."""

import importlib
import logging
import sys

import structlog

NAMES = ("codec", "engine", "ingest", "bell")
LONG = ("history",)
"""Those that run for minutes, and only when they are named."""


def main(wanted: list[str]) -> int:
    known = (*NAMES, *LONG)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for name in wanted or NAMES:
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
