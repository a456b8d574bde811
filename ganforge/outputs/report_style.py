"""Style of a report: one CSS sheet, for light and dark screens and for print."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --paper: #fcfcfd; --card: #fff;
  --line: #d9d9e0; --accent: #0b68cb; --warn: #fff3d6; --warn-ink: #5c3d00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --soft: #b0b4ba; --paper: #111113; --card: #18191b; --line: #363a3f;
    --accent: #70b8ff; --warn: #3a2c08; --warn-ink: #ffd98a; }
  img.curve { filter: invert(0.91) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.75rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 0.75rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--line);
  font-size: 1.2rem; }
.facts { margin: 0.25rem 0 0; color: var(--soft); }
.warnings { margin: 1.25rem 0 0; padding: 0.75rem 1rem 0.75rem 2rem; border-radius: 0.5rem;
  background: var(--warn); color: var(--warn-ink); }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: 1rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1rem; }
figure { margin: 0; align-self: start; padding: 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem;
  background: var(--card); }
figcaption { margin-top: 0.5rem; color: var(--soft); font-size: 0.875rem; }
img { display: block; width: 100%; height: auto; border-radius: 0.25rem; }
img.small { image-rendering: pixelated; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); }
thead th + th { text-align: right; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { margin: 0; padding: 1rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 0.5rem;
  background: var(--card); font: 0.85rem/1.5 ui-monospace, monospace; }
@media print { body { max-width: none; padding: 0; } figure { break-inside: avoid; } }
"""
