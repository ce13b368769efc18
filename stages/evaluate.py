"""Stage: measure a net on a converted dataset; the same as the command ``nntrack evaluate``."""

from nntrack.command_line import run
from nntrack.commands.evaluate import main

if __name__ == "__main__":
    run(main)
