"""Two "hosts" with a cable between them: network namespaces and a pair of virtual interfaces."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.two_processes_run import environment, write_run_file

PATIENCE_S = 300


def ip(*arguments: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        pytest.skip(f"needs to make network namespaces: {done.stderr.strip()}")


@contextlib.contextmanager
def two_hosts() -> Iterator[list[str]]:
    """Names of two namespaces; in each, the interface `cable` has the address 10.77.0.1 or .2."""
    if shutil.which("ip") is None:
        pytest.skip("needs the program 'ip', of iproute2")
    names = [f"ganforge{os.getpid()}{side}" for side in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        cable = ("type", "veth", "peer", "name", "cable", "netns", names[1])
        ip("link", "add", "cable", "netns", names[0], *cable)
        for number, name in enumerate(names, start=1):
            ip("-n", name, "address", "add", f"10.77.0.{number}/24", "dev", "cable")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "cable", "up")
        yield names
    finally:
        for name in names:
            ip("netns", "delete", name, check=False)


@pytest.mark.slow
def test_one_process_on_each_of_two_hosts(tmp_path: Path) -> None:
    run = ("-m", "ganforge", "run", str(write_run_file(tmp_path)), "--out", str(tmp_path / "run"))
    with two_hosts() as names:
        hosts = []
        for rank, name in enumerate(names):
            launcher = (
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--nnodes",
                "2",
                "--nproc-per-node",
                "1",
            )
            meeting = ("--node-rank", str(rank), "--master-addr", "10.77.0.1", "--master-port", "29400")
            command = ["ip", "netns", "exec", name, *launcher, *meeting, *run, "--set", "train.images=1600"]
            with (tmp_path / f"{rank}.txt").open("w") as log:
                env = environment(GLOO_SOCKET_IFNAME="cable")
                hosts.append(subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log))
        codes = [host.wait(PATIENCE_S) for host in hosts]
    logs = [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)]
    assert codes == [0, 0], logs[0][-2000:] + logs[1][-2000:]
    assert "finished after 1,600 images" in logs[0]
    assert "finished" not in logs[1]
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["processes"] == 2
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["images_seen"] for row in rows] == [8, 800, 1600]
