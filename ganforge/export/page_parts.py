"""The page's files, put together as a folder or as one file, each with a content security policy."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import ganforge

SCRIPTS = (
    "rng.js", "latents.js", "network.js", "drawing.js", "picture.js", "conditions.js", "codes.js", "state.js",
    "walk.js", "app.js",
)  # fmt: skip
STYLE = "style.css"
RUNTIME = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
FOLDER_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; worker-src 'self' blob:; base-uri 'none'; form-action 'none'"
)


def asset(name: str) -> str:
    return (files("ganforge.export") / "page" / name).read_text(encoding="utf-8")


def folder_page(model: Mapping[str, Any]) -> str:
    """index.html of a folder that has `SCRIPTS`, `STYLE`, model.onnx and runtime/ as well."""
    sources = (f"runtime/{RUNTIME[0]}", *SCRIPTS)
    return _page(
        model,
        policy=FOLDER_POLICY,
        style=f'<link rel="stylesheet" href="{STYLE}">',
        data=_json_block(model),
        scripts="\n".join(f'<script src="{source}"></script>' for source in sources),
    )


def single_page(model: Mapping[str, Any], runtime: Mapping[str, bytes], network: bytes) -> str:
    """One file with everything in it: `runtime` by the names in `RUNTIME`, and the network."""
    scripts = [runtime[RUNTIME[0]].decode(), *map(asset, SCRIPTS)]
    style = asset(STYLE)
    allowed = " ".join(map(_hash, scripts))
    policy = (
        f"default-src 'none'; script-src {allowed} 'wasm-unsafe-eval' blob:; style-src {_hash(style)}; "
        "connect-src blob: data:; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    blocks = {"ort-module": runtime[RUNTIME[1]], "ort-binary": runtime[RUNTIME[2]], "network": network}
    return _page(
        model,
        policy=policy,
        style=f"<style>{style}</style>",
        data="\n".join([_json_block(model), *(_block(name, content) for name, content in blocks.items())]),
        scripts="\n".join(f"<script>{_inline(script)}</script>" for script in scripts),
    )


def _page(model: Mapping[str, Any], **parts: str) -> str:
    known = {"title": html.escape(str(model["name"])), "version": ganforge.__version__}
    known |= parts | {"policy": html.escape(parts["policy"], quote=False)}
    page = asset("index.html")
    # Split, not replaced one after another: what is filled in may have braces of its own.
    pieces = page.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [known[name], rest]
    return "".join(filled)


def _json_block(model: Mapping[str, Any]) -> str:
    """Data that no name in it can end or turn into markup."""
    text = json.dumps(model).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return f'<script type="application/json" id="model">{text}</script>'


def _block(name: str, content: bytes) -> str:
    packed = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
    return f'<script type="text/plain" id="{name}">{packed}</script>'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inline(script: str) -> str:
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("a script that has '</script' or '<!--' in it cannot be put into a page")
    return script
