"""`python -m hub` is `tocsin`. The supervisor's children skip the command line: they start sooner without it."""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] in (["core"], ["bot"]):
        from hub import child

        sys.exit(child.main(sys.argv[1:]))
    from hub import cli

    cli.main()
