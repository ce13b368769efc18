import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

INTERRUPTED = """
import multiprocessing, os, signal, sys
from nntrack.processes import deaf

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=interrupt)
    with deaf():
        process.start()
    process.join()
    try:
        interrupt()
    except KeyboardInterrupt:
        print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_who_started_it_alone_is_interrupted(method, tmp_path):
    (tmp_path / "program.py").write_text(INTERRUPTED)
    env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
    command = [sys.executable, "program.py", method]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")
