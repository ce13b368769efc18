import os
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tests.conftest import ROOT

INTERRUPTED = """
import multiprocessing, os, signal, sys
from nntrack.processes import ignore_sigint

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=interrupt)
    with ignore_sigint():
        process.start()
    process.join()
    try:
        interrupt()
    except KeyboardInterrupt:
        print(process.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_started_process_ignores_interruptions(method, tmp_path):
    (tmp_path / "program.py").write_text(INTERRUPTED)
    env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
    command = [sys.executable, "program.py", method]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


LAUNCHED = """
import os, time
from nntrack.processes import end_with_launcher
end_with_launcher("LAUNCHED")
print(os.getpid(), flush=True)
time.sleep(600)
"""
# it starts a program by a shell that lives on, and is killed when that runs
LAUNCHER = """
import os, signal, subprocess, sys
command = f"{sys.executable} program.py; exit"
with subprocess.Popen(command, shell=True, env=os.environ | {"LAUNCHED": "1"}, stdout=subprocess.PIPE) as started:
    print(started.stdout.readline().decode(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_program_ends_when_its_launcher_was_killed(tmp_path):
    (tmp_path / "program.py").write_text(LAUNCHED)
    (tmp_path / "launcher.py").write_text(LAUNCHER)
    env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
    command = [sys.executable, "launcher.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(60)
