"""`cd tests && python -m experiments.logging_throughput [REPEATS]`: what W&B costs a run whose server is
of no use.

Runs of one kind take turns with the others, so that a machine that slows down slows all of them. For
each kind: the CPU time of the training process and the images a second, as ratios to the disabled
run of the same round, mean and standard deviation.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from support.paths import TESTS

KINDS = ("disabled", "offline", "works", "hangs", "denies", "fails", "dies", "is not there")
IMAGES = 1024


def child(folder: str, mode: str) -> None:
    """One run; tells its CPU seconds, and its images a second between start and end of the loop."""
    from ganforge.engine.distributed.stop_request import StopRequest
    from ganforge.training import session
    from ganforge.training.run import start
    from support.toys import toy_config, toy_registry

    session.MIRROR_PATIENCE_S = 0.0
    config = toy_config(
        data={"type": "squares", "size": 32, "count": 512},
        nets={"type": "dcgan", "width": 32, "condition_dim": 16},
        train={"images": IMAGES, "batch_size": 32},
        logging={"every": 64, "checkpoint_every": IMAGES},
        wandb={"mode": mode, "project": "p"},
    )
    before = resource.getrusage(resource.RUSAGE_SELF)
    start(config, Path(folder), toy_registry(), StopRequest(), "throughput")
    after = resource.getrusage(resource.RUSAGE_SELF)
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    seconds = [row for row in rows if "seconds" in row][-1]["seconds"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"cpu": cpu, "rate": IMAGES / seconds}) + "\n")


def measured(kind: str, home: Path) -> dict[str, float]:
    from support.wandb_server import Server

    mode = kind if kind in ("disabled", "offline") else "online"
    server = Server("works" if kind == "dies" else kind)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("WANDB_")},
        "WANDB_API_KEY": "0123456789" * 4,
        "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        **{name: str(home) for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")},
    }
    if kind == "is not there":
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    if kind == "dies":
        threading.Timer(12.0, lambda: setattr(server, "manner", "dies")).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        words = ["child", str(Path(place) / "run"), mode]
        command = [sys.executable, "-m", "experiments.logging_throughput", *words]
        done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=True)
        end_mirror(Path(place) / "run" / "wandb" / "status.json")
        server.over.set()
        if kind != "is not there":
            server.shutdown()
            server.server_close()
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def end_mirror(status: Path) -> None:
    """A mirror keeps trying for ten minutes, next to the next run."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        # The mirror leads a session of its own.
        os.killpg(json.loads(status.read_text())["pid"], signal.SIGKILL)


def main(repeats: int) -> None:
    ratios: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        for turn in range(repeats):
            # Another order each time, or what comes after a slow kind would always pay for it.
            order = KINDS[turn % len(KINDS) :] + KINDS[: turn % len(KINDS)]
            found = {kind: measured(kind, Path(home)) for kind in order}
            base = found["disabled"]
            for kind in KINDS:
                ratios[kind].append((found[kind]["cpu"] / base["cpu"], found[kind]["rate"] / base["rate"]))
            sys.stderr.write(f"round {turn + 1}: {json.dumps(found)}\n")
    for kind, pairs in ratios.items():
        words = []
        for name, values in zip(("CPU time", "images/s"), zip(*pairs, strict=True), strict=True):
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            words.append(f"{name} x {statistics.fmean(values):.3f} +- {spread:.3f}")
        sys.stdout.write(f"{kind:13} {'   '.join(words)}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
