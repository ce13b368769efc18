import os
import signal
import subprocess
import sys

import pytest

from nntrack.readers import _parallel
from tests.conftest import ROOT


def _die(context, task):
    if task == 3:
        os._exit(9)
    return [task]


def _fail(context, task):
    raise ZeroDivisionError(context)


def _interrupt(context, task):
    os.kill(os.getpid(), signal.SIGINT)
    return [task]


def _echo(context, task):
    return [context * task]


class TestParallel:
    def test_results_come_in_order(self):
        assert list(_parallel.in_order(_echo, 2, range(50), 3)) == [[2 * i] for i in range(50)]

    def test_a_dead_worker_is_an_error(self):
        with pytest.raises(ChildProcessError, match="a worker process died"):
            list(_parallel.in_order(_die, None, range(20), 2))

    def test_errors_of_workers_come_through(self):
        with pytest.raises(ZeroDivisionError):
            list(_parallel.in_order(_fail, "x", range(20), 2))

    def test_workers_leave_interruptions_to_who_started_them(self):
        assert list(_parallel.in_order(_interrupt, None, range(3), 2)) == [[0], [1], [2]]

    @pytest.mark.parametrize("started", ["fork", "forkserver"])
    def test_workers_end_with_a_killed_parent(self, started, tmp_path):
        (tmp_path / "program.py").write_text(STARTED.format(work=ENDLESS, workers=2))
        env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
        command = [sys.executable, "program.py", started]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
            workers = {process.stdout.readline() for _ in range(2)}
            process.kill()
            process.communicate(timeout=30)  # until nobody can write there any more
        assert len(workers) == 2

    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("started", ["fork", "forkserver"])
    def test_numpy_computes_on_one_thread(self, started, workers, tmp_path):
        (tmp_path / "program.py").write_text(STARTED.format(work=COUNTS, workers=workers))
        env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        command = [sys.executable, "program.py", started]
        found = subprocess.check_output(command, cwd=tmp_path, env=env | {"PYTHONPATH": os.fspath(ROOT)}, text=True)
        assert set(found.split()) == {"1"}

    def test_interrupted_twice_it_ends_all_the_same(self, tmp_path):
        (tmp_path / "program.py").write_text(TWICE)
        env = os.environ | {"PYTHONPATH": os.fspath(ROOT)}
        done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, env=env, timeout=60, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


TWICE = """
import os, signal, threading, time
from nntrack.readers import _parallel

def work(context, task):
    time.sleep(0.5)
    return [task]

if __name__ == "__main__":
    results = _parallel.in_order(work, None, range(9), 2)
    next(results)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    results.close()  # as the first interruption does
"""
ENDLESS = """
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600)
"""
COUNTS = """
    for pool in threadpool_info():
        os.write(1, f"{pool['num_threads']}\\n".encode())
    return [task]
"""
STARTED = """
import os, sys, threading, time
from threadpoolctl import threadpool_info
from nntrack.processes import end_with_launcher
from nntrack.readers import _parallel

def work(context, task):{work}
if __name__ == "__main__":
    if sys.argv[1] == "forkserver":  # forking is for processes that have one thread
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    bar = _parallel.ProgressBar(total=2)  # as whoever shows progress has one ...
    end_with_launcher("DVC_STAGE")  # ... and whom DVC started does
    assert _parallel._start_method().get_start_method() == sys.argv[1]
    list(_parallel.in_order(work, None, range(2), {workers}))
"""


def test_no_room_for_what_workers_talk_through_is_told(monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(_parallel, "ProcessPoolExecutor", full)
    with pytest.raises(OSError, match=r"No space left on device, where worker processes keep .*: '/dev/shm'"):
        list(_parallel.in_order(_echo, 1, range(3), 2))
