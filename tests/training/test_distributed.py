import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning_fabric.accelerators.mps import MPSAccelerator
from safetensors.torch import load_file
from torch import distributed, nn

from nntrack import config
from nntrack.data import splits
from nntrack.networks import backbones, losses
from nntrack.networks.localizer import LocalizerConfig, LocalizerNet
from nntrack.training.distributed import CpuSyncBatchNorm, World, fabric
from tests.conftest import ROOT
from tests.training.test_tasks import HELD_OUT, LOCALIZER, POSE, RUN, STILL, column, contents, data  # noqa: F401

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


@pytest.fixture
def alone():
    with World(1, 1, "32-true") as world:
        yield world


def test_one_process_does_not_communicate(alone):
    numbers, net = torch.arange(4), backbones.build("diracnet", 0.5)
    before = [type(module) for module in net.modules()]
    alone.join(net, lambda: pytest.fail("no loss is needed"))
    alone.agree("anything")
    assert [type(module) for module in net.modules()] == before
    assert alone.mean(numbers) is numbers
    assert torch.equal(alone.part(numbers), numbers)
    assert (alone.from_first(lambda: 5), alone.gather(6), alone.sums({"a": torch.tensor(7)})) == (5, [6], {"a": 7})
    with pytest.raises(ValueError, match="reason"):
        alone.fail(ValueError("reason"))
    assert not distributed.is_initialized()


def test_another_number_of_processes_is_an_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"^devices: 3 and nodes: 2 in params\.yaml make 6, but 4 processes were"):
        fabric(3, 2)


def test_machines_that_do_not_know_where_to_meet_are_an_error(monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(ValueError, match=r"^nodes: 2 in params\.yaml: the environment lacks MASTER_ADDR, "):
        World(1, 2, "32-true").__enter__()


def test_gpus_are_cuda_alone(monkeypatch):
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: True)
    assert fabric(1, 1).device.type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("build", [*(partial(b, 0.25) for b in backbones.BACKBONES.values())])
def test_every_norm_of_a_net_is_synchronized(build, monkeypatch):
    net = build()
    names = list(net.state_dict())
    world = World.__new__(World)
    world.size = 2
    world.join(net, lambda: net(torch.rand(1, 1, 129, 129)).sum())
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
    assert norms
    assert {type(module) for module in norms} == {CpuSyncBatchNorm}
    assert list(net.state_dict()) == names
    assert net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())


def test_parameters_without_a_loss_do_not_learn():
    net = LocalizerNet(LocalizerConfig(0.5))
    world = World.__new__(World)
    world.size = 2
    world.join(net, lambda: net(torch.rand(1, 1, 224, 288))["heatmap"].square().sum())
    idle = {name.split(".")[0] for name, parameter in net.named_parameters() if not parameter.requires_grad}
    assert idle == {"trim", "face"}


def test_parts_of_a_batch_make_the_whole():
    """Where some processes have no sample that counts, and where all have none."""
    table = {name: losses.Loss(lambda prediction, target: prediction["x"], (name,)) for name in "abc"}
    batch = {"index": torch.arange(6), "has_a": torch.arange(6) < 2, "has_b": torch.arange(6) % 2 == 0}
    batch["has_c"] = torch.zeros(6, dtype=torch.bool)
    prediction = {"x": torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])}
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    total = partial(losses.total, weights, table)
    whole, means = total(prediction, batch)
    halves = [{name: value[part] for name, value in batch.items()} for part in (slice(0, 3), slice(3, 6))]
    counts = torch.stack([torch.stack([half[f"has_{name}"].sum() for name in table]) for half in halves]).float()
    found = [total({"x": prediction["x"][half["index"]]}, half, 1.0, lambda own: counts.mean(dim=0)) for half in halves]
    assert torch.stack([loss for loss, _ in found]).mean() == whole
    for name, value in means.items():
        assert torch.stack([parts[name] for _, parts in found]).mean() == value


PAIR = """
import torch
from torch import nn
from nntrack.training.distributed import CpuSyncBatchNorm, World

with World(2, 1, "32-true") as world:
    rank = world.rank
    assert world.gather(rank) == [0, 1]
    assert world.from_first(lambda: {"asked": rank}) == {"asked": 0}
    assert world.mean(torch.tensor([rank, 5])).tolist() == [0.5, 5.0]
    assert world.sums({"a": torch.tensor(rank + 1)}) == {"a": 3}
    assert world.sums({"a": torch.tensor(4)} if rank == 0 else {}) == {"a": 4}
    assert world.part(torch.arange(6)).tolist() == [[0, 1, 2], [3, 4, 5]][rank]
    assert world.part(torch.arange(8).view(2, 4)).tolist() == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]][rank]

    double, single = torch.float64, torch.float32
    for dtype, half, exact in ((double, False, 1e-12), (single, False, 1e-5), (single, True, 0.02)):
        torch.manual_seed(1)
        joint, own = nn.BatchNorm2d(3).to(dtype), CpuSyncBatchNorm(3).to(dtype)
        for norm in (joint, own):
            nn.init.normal_(norm.weight, 1.0, generator=torch.Generator().manual_seed(2))
        all_x = 3 * torch.randn(8, 3, 5, 4, dtype=dtype) + 100 * torch.arange(8, dtype=dtype)[:, None, None, None]
        to = torch.randn(8, 3, 5, 4, dtype=dtype)
        if half:
            all_x = all_x.bfloat16()
        all_x = all_x.to(memory_format=torch.channels_last).requires_grad_()
        x = all_x.detach()[4 * rank : 4 * rank + 4].requires_grad_()
        for _ in range(2):
            y, own_y = joint(all_x), own(x)
        (y * to).sum().backward()
        (own_y * to[4 * rank : 4 * rank + 4]).sum().backward()
        close = lambda a, b: torch.testing.assert_close(a, b, rtol=exact, atol=exact)
        close(own_y, y[4 * rank : 4 * rank + 4])
        close(x.grad, all_x.grad[4 * rank : 4 * rank + 4])
        close(sum(world.gather(own.weight.grad)), joint.weight.grad)
        close(sum(world.gather(own.bias.grad)), joint.bias.grad)
        assert own_y.dtype == y.dtype and x.grad.dtype == x.dtype
        for name, value in joint.named_buffers():
            close(own.get_buffer(name), value)
        close(own.eval()(x), joint.eval()(all_x)[4 * rank : 4 * rank + 4])

    print("all is well")
    world.agree(rank)
"""


def start(command, cwd, **how):
    """A program that uses the project's code, with one thread."""
    env = {name: value for name, value in os.environ.items() if name not in ("WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")}
    env |= {"PYTHONPATH": os.fspath(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([sys.executable, *command], cwd=cwd, env=env, text=True, **how)


def finish(command, cwd, code=0):
    """Its (stdout, stderr)."""
    with start(command, cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        written = process.communicate(timeout=600)
    assert process.returncode == code, written[1]
    return written


@pytest.mark.slow
def test_two_processes_agree(tmp_path):
    (tmp_path / "pair.py").write_text(PAIR)
    out, err = finish([*TORCHRUN, "pair.py"], tmp_path, code=1)
    assert out.count("all is well") == 2
    assert err.count("ValueError: the machines do not train the same") == 1
    assert "Connection" not in err


STAGE = """
import os, signal, sys
from functools import partial
import torch
from nntrack.training import checkpoint, loop, optimizer
from stages import train_{net} as stage
from nntrack.command_line import run

{changes}
run(stage.main)
"""
# rounding stays rounding: without it the first steps are as long where a gradient is nothing but rounding
ROUGH = "loop.LOG_EVERY, optimizer.STEPS = 1, 1; loop.Muon = partial(optimizer.Muon, eps=0.1)"
SMALL = {"batch_size": 8, "backbone": "resnet18", "width": 0.125}


def stage(data, folder, changes="", net="pose", lr=2e-3, devices=2, **params):  # noqa: F811
    """The command of a net's stage, in a folder with all that it needs."""
    values = config.read_yaml(ROOT / "params.yaml")
    values |= {"seed": RUN.seed, "threads": 1, "precision": RUN.precision, "devices": devices, "lr": lr}
    values["pose"] = POSE.model_copy(update=SMALL | params).model_dump()
    values["localizer"] = LOCALIZER.model_copy(update={"lr": lr} | params).model_dump()
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(json.dumps(values))
    (folder / "stage.py").write_text(STAGE.format(net=net, changes=changes))
    splits.save(folder / "split.json", HELD_OUT)
    inputs = {"pose": [data, "split.json", data / "facemodel.npz"], "localizer": [data / "widerface.h5", "split.json"]}
    return ["stage.py", *map(os.fspath, inputs[net]), "out"]


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_twice_the_batch(data, tmp_path):  # noqa: F811
    same = {"steps": 2, "validate_every": 1, "augment": STILL}
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        finish(stage(data, folder, ROUGH, devices=devices, batch_size=16 // devices, **same), folder)
    one, two = tmp_path / "1/out", tmp_path / "2/out"
    curves = sorted(path.relative_to(one) for path in one.rglob("*.tsv"))
    assert curves == sorted(path.relative_to(two) for path in two.rglob("*.tsv"))
    for path in curves:
        assert column(two / path) == pytest.approx(column(one / path), rel=5e-4, abs=2e-6), path
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, two))
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        error = (others[name] - value).float().norm() / max(1.0, value.float().norm())
        assert error < 1e-3, (name, error)


# after every step a checkpoint, if nothing else is asked; one process is killed in a step
KILL = """
loop.LOG_EVERY, checkpoint.EVERY, checkpoint.TIME_FRACTION = 1, 0.0, float("inf")
learn = loop.Loop.learn
def killing(self, step):
    if (self.world.rank, step) == {kill}:
        os.kill(os.getpid(), signal.SIGKILL)
    return learn(self, step)
loop.Loop.learn = killing
"""


def gone(folder):
    """Whether soon no process of the stage in ``folder`` is left."""
    for _ in range(100):
        cwds = [path.readlink() for path in Path("/proc").glob("[0-9]*/cwd") if os.access(path, os.R_OK)]
        if folder not in cwds:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_two_processes_continue_to_the_same_bytes(data, tmp_path):  # noqa: F811
    params = {"steps": 6, "validate_every": 2}
    whole, out = tmp_path / "whole", tmp_path / "killed"
    finish(stage(data, whole, KILL.format(kill=None), **params), whole)
    for rank, step in ((0, 3), (1, 5)):
        command = stage(data, out, KILL.format(kill=(rank, step)), **params)
        with start(command, out, stderr=subprocess.PIPE) as process:
            err = process.communicate(timeout=600)[1]
        assert gone(out), f"killed process {rank}"
        assert "Traceback" not in err
        assert rank == 0 or "error: another process of the training ended; run again to continue" in err
    text, _ = finish(stage(data, out, KILL.format(kill=None), **params), out)
    assert text.count("continuing after step 4") == 1
    assert not (out / "work/pose").exists()
    assert contents(out / "out") == contents(whole / "out")


@pytest.mark.slow
@pytest.mark.parametrize(("launcher", "net"), [([], "pose"), (TORCHRUN, "localizer")], ids=["fabric", "torchrun"])
def test_a_spoilt_training_ends_all_processes_and_is_reported_once(launcher, net, data, tmp_path):  # noqa: F811
    command = stage(data, tmp_path / "spoilt", net=net, lr=1e38, steps=4)
    _, err = finish([*launcher, *command], tmp_path / "spoilt", code=1)
    assert err.count("error: the loss became nan at step ") == 1
    assert "Connection" not in err
    assert gone(tmp_path / "spoilt")
    assert not (tmp_path / "spoilt/out/model.safetensors").exists()
