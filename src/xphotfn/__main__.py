"""``python -m xphotfn`` is the command line."""

from xphotfn.cli import main

if __name__ == "__main__":
    main(prog_name="xphotfn")
