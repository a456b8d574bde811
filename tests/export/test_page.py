"""The page's text, what it is refused for, and its server."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import re
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
import torch

from ganforge.api import Architecture, DataSpec, LabelSpec, UserError
from ganforge.evaluation.sample import TrainedGenerator
from ganforge.export import page_parts, web
from ganforge.export.playground import facts_for_page, refuse_what_has_no_picture, truncates
from ganforge.export.serve import server
from ganforge.outputs.run_folder import RunFolder
from support.command_line import EXAMPLE, TINY, call, sets
from support.paths import ROOT

HOSTILE = "</script><script>alert(1)</script><!-- & \"'{{policy}}"
RUNTIME = {name: f"/* {name} */".encode() for name in page_parts.RUNTIME}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `mine`."""
    folder = tmp_path_factory.mktemp("page")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY)).code == 0
    return folder


def opened(place: Path) -> tuple[RunFolder, TrainedGenerator]:
    from ganforge.evaluation.sample import open_generator
    from support.installed import installed

    return RunFolder.open(place / "mine"), open_generator(place / "mine", installed(), print)


def scripts(page: str) -> list[str]:
    """The content of each script element that a browser would run."""
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def test_no_name_ends_its_block_or_becomes_markup() -> None:
    model = {"name": HOSTILE, "inline": True}
    for page in (page_parts.single_page(model, RUNTIME, b"net"), page_parts.folder_page(model)):
        (block,) = re.findall(r'<script type="application/json" id="model">(.*?)</script>', page, re.DOTALL)
        assert json.loads(block) == model
        # An end tag needs no ">": "</script " and "</script/" end the block, too.
        assert not set("<>&") & set(block)
        assert "alert(1)</script>" not in page and "<!-- &" not in page
        assert page.count("<title>") == 1 and "&lt;/script&gt;" in page


def test_the_policy_of_the_single_file_names_the_hash_of_each_script() -> None:
    page = page_parts.single_page({"name": "x"}, RUNTIME, b"net")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    found = scripts(page)
    assert len(found) == 1 + len(page_parts.SCRIPTS)
    for text in found:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    assert "unsafe-inline" not in page and "unsafe-eval'" in policy[1].replace("wasm-", "")
    assert policy[1].startswith("default-src 'none'; ")


def test_no_page_names_another_host() -> None:
    page = page_parts.single_page({"name": "x"}, RUNTIME, b"net")
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) == {"http://www.w3.org/2000/svg"}


def test_the_page_gets_what_its_controls_need(trained: Path) -> None:
    run, generator = opened(trained)
    facts = facts_for_page(run, generator)
    assert facts["condition"]["kind"] == "many_of_k" and len(facts["condition"]["names"]) == 24
    assert (facts["shape"], facts["prior"]["width"], facts["truncation"]) == (
        [3, 16, 16],
        100,
        "latents",
    )
    golden = facts["golden"][1]
    z = torch.frombuffer(bytearray(base64.b64decode(golden["z"])), dtype=torch.float32)
    assert torch.equal(z, generator.sampler.latents(4, 7).z[3])
    assert facts["command"] == "mine" and str(trained) not in json.dumps(facts)


@pytest.mark.parametrize(
    ("prior", "itself", "overridden", "expected"),
    [
        ("normal", False, False, "latents"),
        ("normal", False, True, None),
        ("normal", True, True, "styles"),
        ("uniform", False, False, None),
    ],
)
def test_what_truncation_moves(
    monkeypatch: pytest.MonkeyPatch, prior: str, itself: bool, overridden: bool, expected: str | None
) -> None:
    class Nets:
        truncate = object() if overridden else Architecture.truncate

    monkeypatch.setattr("ganforge.export.playground.truncates_itself", lambda sampler: itself)
    sampler = SimpleNamespace(nets=Nets(), prior=SimpleNamespace(type_name=lambda: prior))
    assert truncates(cast(TrainedGenerator, SimpleNamespace(sampler=sampler))) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            DataSpec(shape=(2, 8, 8)),
            "the page shows images with 1, 3 or 4 channels and points in the plane, got samples of shape "
            "(2, 8, 8); use --onnx",
        ),
        (
            DataSpec(shape=(3, 8, 8), labels=LabelSpec(kind="image", size=(4, 8, 8))),
            "the page takes conditions with 1 or 3 channels, got images of (4, 8, 8); use --onnx",
        ),
    ],
)
def test_what_the_page_cannot_show_is_refused(trained: Path, spec: DataSpec, message: str) -> None:
    _, generator = opened(trained)
    with pytest.raises(UserError) as refused:
        refuse_what_has_no_picture(TrainedGenerator(generator.sampler, spec, 0, generator.dataset))
    assert str(refused.value) == message


def test_a_missing_runtime_is_named(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(sys.modules, "ganforge_web", None)
    for command in (("play", "mine"), ("export", "mine", "--web", "page")):
        done = call(trained, *command)
        assert (done.code, done.err) == (
            2,
            "the page needs onnxruntime-web, which the package ganforge-web has and which is not installed; "
            "type: pip install ganforge-web (or, in a checkout: pip install ./plugins/ganforge-web)\n",
        )
    assert not (trained / "page").exists()


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(
        UserError, match="mine is not empty and is not an exported page; choose another folder"
    ):
        web.refuse_target(tmp_path / "mine")
    with pytest.raises(UserError, match=r"expected --web to be a folder or a \.html file, got the file "):
        web.refuse_target(tmp_path / "mine" / "thesis.tex")
    web.refuse_target(tmp_path / "new")
    web.refuse_target(tmp_path / "page.html")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site" / "runtime").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("<p>hello")
    (tmp_path / "site" / "runtime" / "x.mjs").write_text("1")
    (tmp_path / "secret").write_text("s")
    with server(tmp_path / "site", "127.0.0.1", 0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


def test_the_server_gives_the_policy_and_nothing_else_than_the_folder(address: str) -> None:
    with urllib.request.urlopen(f"{address}/") as answer:
        assert answer.read() == b"<p>hello"
        assert (
            answer.headers["Content-Security-Policy"] == f"{page_parts.FOLDER_POLICY}; frame-ancestors 'none'"
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    with urllib.request.urlopen(f"{address}/runtime/x.mjs") as answer:
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    for path in ("/runtime/", "/../secret", "/%2e%2e/secret"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}{path}")
        assert refused.value.code == 404


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "localhost.evil.example", ""])
def test_a_page_elsewhere_whose_name_points_here_reads_nothing(address: str, name: str) -> None:
    """DNS rebinding: the browser sends the name that it asked for."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{address}/", headers={"Host": name}))
    assert refused.value.code == 403


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:8000", "127.0.0.1"])
def test_the_server_answers_to_its_own_names(address: str, name: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(f"{address}/", headers={"Host": name})) as answer:
        assert answer.read() == b"<p>hello"


def test_the_server_follows_no_link_out_of_the_folder(tmp_path: Path, address: str) -> None:
    (tmp_path / "site" / "key").symlink_to(tmp_path / "secret")
    (tmp_path / "site" / "up").symlink_to(tmp_path)
    (tmp_path / "site" / "own").symlink_to("index.html")
    (tmp_path / "site" / "folder").mkdir()
    (tmp_path / "site" / "folder" / "index.html").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "site" / "pipe")
    for path in ("/key", "/up/secret", "/folder/", "/pipe", "/%00"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}{path}", timeout=60)
        assert refused.value.code == 404, path
    with urllib.request.urlopen(f"{address}/own") as answer:
        assert answer.read() == b"<p>hello"


def test_a_port_in_use_is_one_message(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as refused:
            server(tmp_path, "127.0.0.1", port)
    assert str(refused.value) == (
        f"port {port} is in use; choose another with --port, or leave it out for any free one"
    )


def hook() -> ModuleType:
    """The build hook of ganforge-web."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "plugins/ganforge-web/hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_another_archive_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = hook()
    archive = tmp_path / "x.tgz"
    archive.write_bytes(b"another")
    monkeypatch.setenv("GANFORGE_WEB_ARCHIVE", str(archive))
    with pytest.raises(
        RuntimeError, match=r"expected SHA-512 q0y\+.*, got .*; the archive is not onnxruntime-web@1\.30\.0"
    ):
        build.fill(tmp_path / "runtime")
    assert not (tmp_path / "runtime").exists()


def test_a_machine_without_npm_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="building ganforge-web needs npm to download onnxruntime-web@"):
        hook().packed(tmp_path)


def test_the_distribution_has_the_files_that_the_page_names(runtime: Path) -> None:
    import ganforge_web

    assert hook().FILES == ganforge_web.FILES == page_parts.RUNTIME
    assert {file.name for file in runtime.iterdir()} == {*ganforge_web.FILES, ganforge_web.LICENSE}
