"""What is in docker/: linters, published schemas, and that every recipe runs what the laptop runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ganforge.cli.train import REQUEUE
from ganforge.config import load
from support.installed import installed
from support.paths import ROOT, TESTS

DOCKER = ROOT / "docker"
DOCKERFILE = DOCKER / "Dockerfile"
SCRIPTS = [DOCKER / "slurm.sbatch", ROOT / ".ci" / "docker"]
LAPTOP = ["run", "examples/cgan_iclevr.toml", "--set", "train.resume=auto"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def tool(name: str) -> str:
    """The program next to this Python, or on the path; skips if there is none."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def manifest(name: str) -> Any:
    import yaml

    return yaml.safe_load((DOCKER / name).read_text())


def pins(name: str) -> dict[str, str]:
    lines = (DOCKER / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def says(command: list[str | Path]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


# The image


def test_hadolint_has_nothing_to_say() -> None:
    assert says([tool("hadolint"), "--config", DOCKER / ".hadolint.yaml", DOCKERFILE]) == ""


def test_every_engine_takes_the_syntax() -> None:
    text = DOCKERFILE.read_text()
    for beyond in ("# syntax=", "<<", "--link", "--exclude", "RUN --network", "://"):
        assert beyond not in text


def test_all_that_is_copied_is_there_and_in_the_context() -> None:
    """`.dockerignore` keeps everything out but what it names."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert ignored[1] == "*"
    default = re.search(r"ARG TORCH_PINS=(\S+)", DOCKERFILE.read_text())
    assert default
    for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE.read_text(), flags=re.MULTILINE):
        for source in line.replace("${TORCH_PINS}", default[1]).split():
            assert (ROOT / source).exists()
            assert any(Path(source).match(pattern) for pattern in kept), source


def test_the_arguments_are_those_of_the_project() -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE.read_text(), flags=re.MULTILINE))
    assert arguments["VERSION"] == PROJECT["project"]["version"]
    (build,) = PROJECT["build-system"]["requires"]
    (pinned,) = Requirement(arguments["HATCHLING"]).specifier
    assert pinned.version in Requirement(build).specifier
    python = arguments["BASE"].removeprefix("python:").removesuffix("-slim")
    assert python in Requirement(f"python{PROJECT['project']['requires-python']}").specifier


def test_the_pins_are_what_the_project_allows() -> None:
    torch, rest = pins("constraints-torch.txt"), pins("constraints.txt")
    assert not torch.keys() & rest.keys()
    for line in PROJECT["project"]["dependencies"]:
        requirement = Requirement(line)
        version = {**torch, **rest}[canonicalize_name(requirement.name)]
        assert version in requirement.specifier, line
    assert torch["torch"] != "2.13.0"
    for name in ("constraints-torch.txt", "constraints.txt"):
        assert re.fullmatch(r"(#.*\n|[a-z0-9-]+==[0-9a-z.]+\n)+", (DOCKER / name).read_text())


# The recipes


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    assert says([tool("bash"), "-n", script]) == ""
    assert says([tool("shellcheck"), script]) == ""


def kubernetes(resource: dict[str, Any]) -> None:
    """Raises unless Kubernetes' published schema takes the resource, with no key too many."""
    validator = pytest.importorskip("kubernetes_validate")
    validator.validate(resource, validator.latest_version(), strict=True)


def test_the_job_is_what_kubernetes_takes() -> None:
    kubernetes(manifest("kubernetes/job.yaml"))


def node_pod() -> dict[str, Any]:
    """The pod that Kubeflow Trainer makes of the TrainJob: its trainer, patched."""
    job = manifest("kubernetes/trainjob.yaml")["spec"]
    trainer, (patch,) = job["trainer"], job["runtimePatches"]
    (node,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    spec = dict(node["template"]["spec"]["template"]["spec"])
    (container,) = spec["containers"]
    filled = {key: trainer[key] for key in ("image", "command", "args")}
    filled["resources"] = trainer["resourcesPerNode"]
    return {**spec, "containers": [{**container, **filled}]}


def test_the_trainjob_is_what_kubeflow_takes() -> None:
    schema = json.loads((TESTS / "support" / "trainer.schema.json").read_text())
    import jsonschema

    for name in ("trainjob.yaml", "runtime.yaml"):
        jsonschema.validate(manifest(f"kubernetes/{name}"), schema)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "node"}, "spec": node_pod()}
    kubernetes(pod)


def test_the_runtime_makes_jobs_that_kubernetes_takes() -> None:
    (node,) = manifest("kubernetes/runtime.yaml")["spec"]["template"]["spec"]["replicatedJobs"]
    spec = node["template"]["spec"]
    kubernetes({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "node"}, "spec": spec})
    (container,) = spec["template"]["spec"]["containers"]
    # By this name, and with this label, the trainer finds them.
    labels = node["template"]["metadata"]["labels"]
    assert (node["name"], container["name"]) == ("node", "node")
    assert labels == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}


def job_spec(container: str) -> dict[str, Any]:
    """The specification of the job that has this container."""
    if container == "ganforge":
        spec: dict[str, Any] = manifest("kubernetes/job.yaml")["spec"]
        return spec
    (node,) = manifest("kubernetes/runtime.yaml")["spec"]["template"]["spec"]["replicatedJobs"]
    return dict(node["template"]["spec"])


@pytest.mark.parametrize("container", ["ganforge", "node"])
def test_kubernetes_repeats_a_stop_but_no_bad_input(container: str) -> None:
    job = job_spec(container)
    rules = {
        rule["onExitCodes"]["values"][0]: (rule["action"], rule["onExitCodes"]["containerName"])
        for rule in job["podFailurePolicy"]["rules"]
        if "onExitCodes" in rule
    }
    assert rules == {REQUEUE: ("Ignore", container), 2: ("FailJob", container)}
    pod = job["template"]["spec"]
    # Kubernetes takes a failure policy only with Never, and gives 30 s unless told otherwise.
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Never", 120)


@pytest.mark.parametrize("kind", ["TrainJob", "Job"])
def test_pods_have_no_rights_and_write_to_volumes_only(kind: str) -> None:
    pod = node_pod() if kind == "TrainJob" else job_spec("ganforge")["template"]["spec"]
    (container,) = pod["containers"]
    rights = container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] and rights["readOnlyRootFilesystem"]
    assert not rights["allowPrivilegeEscalation"] and rights["capabilities"] == {"drop": ["ALL"]}
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounted == {"runs": "/runs", "cache": "/cache", "tmp": "/tmp", "shm": "/dev/shm"}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}


def test_compose_reserves_the_gpus_and_keeps_the_runs() -> None:
    compose = manifest("compose.yaml")
    assert set(compose) == {"services", "volumes"}
    train = compose["services"]["train"]
    (device,) = train["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert train["volumes"] == ["runs:/runs", "cache:/cache"]
    assert set(compose["volumes"]) == {"runs", "cache"}
    build = train["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKERFILE
    assert f" AS {build['target']}\n" in DOCKERFILE.read_text()


def test_each_recipe_runs_what_the_laptop_runs() -> None:
    (job,) = manifest("kubernetes/job.yaml")["spec"]["template"]["spec"]["containers"]
    trainer = manifest("kubernetes/trainjob.yaml")["spec"]["trainer"]
    compose = manifest("compose.yaml")["services"]["train"]
    assert job["args"] == trainer["args"] == compose["command"] == LAPTOP
    assert job["image"] == trainer["image"] == compose["image"] == "ganforge:cuda"
    settings = load(ROOT / LAPTOP[1], installed(), LAPTOP[3:])
    assert settings.train.resume == "auto"
    nodes = trainer["numNodes"] * trainer["numProcPerNode"]
    assert settings.train.batch_size % nodes == 0


# Slurm


Submit = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def submit(tmp_path: Path) -> Submit:
    """Runs the batch script among programs that note how they were called; `srun` ends with `status`."""
    for name in ("srun", "scontrol"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $@" >> "{tmp_path}/calls"\n[ {name} = scontrol ] || exit $STATUS\n'
        )
        program.chmod(0o755)

    def run(*arguments: str, status: int, **environment: str) -> tuple[int, list[str]]:
        (tmp_path / "calls").unlink(missing_ok=True)
        scene = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run(
            [tool("bash"), DOCKER / "slurm.sbatch", *arguments],
            env={**scene, "SLURM_JOB_ID": "7", "STATUS": str(status), **environment},
            check=False,
        )
        return done.returncode, (tmp_path / "calls").read_text().splitlines()

    return run


@pytest.mark.parametrize(
    ("status", "requeued"), [(0, []), (REQUEUE, ["scontrol requeue 7"]), (1, []), (2, [])]
)
def test_slurm_requeues_what_stopped_with_a_checkpoint(
    submit: Submit, status: int, requeued: list[str]
) -> None:
    code, (step, *rest) = submit(status=status)
    assert (code, rest) == (status, requeued)
    assert step.startswith("srun --kill-on-bad-exit=0 --wait=120 apptainer exec --nv --bind ")
    assert step.endswith(" ganforge.sif ganforge " + " ".join(LAPTOP))


def test_slurm_takes_a_run_file_and_another_installation(submit: Submit) -> None:
    _, (step,) = submit(
        "my run.toml", "--set", "train.batch_size=256", status=0, GANFORGE=".venv/bin/ganforge"
    )
    assert step == (
        "srun --kill-on-bad-exit=0 --wait=120 .venv/bin/ganforge run my run.toml --set train.resume=auto "
        "--set train.batch_size=256"
    )


def test_slurm_counts_a_task_a_gpu_and_gives_notice() -> None:
    options = re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", SCRIPTS[0].read_text(), flags=re.MULTILINE)
    asked = dict(options)
    assert asked["ntasks-per-node"] == asked["gpus-per-node"] == "1"
    assert (asked["requeue"], asked["signal"]) == ("", "USR1@120")


# The page


def test_the_page_names_what_there_is() -> None:
    page = (DOCKER / "README.md").read_text()
    for path in re.findall(r"\bdocker/[\w./]+|\.ci/\w+|examples/[\w./]+toml", page):
        assert (ROOT / path).is_file(), path
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (DOCKER / link).is_file(), link
    targets = re.findall(r"^([\w -]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(re.findall(r"\bmake ([\w-]+)", page)) <= set(" ".join(targets).split())
    assert page.count(" ".join(LAPTOP)) == 3
