"""Records `make demo` as docs/images/terminal.svg: `python docs/make_terminal_picture.py`, after `make demo`.

The picture has what the demo printed, line by line, without what differs from machine to machine. It needs no script
and no font of another host; where motion is unwelcome (``prefers-reduced-motion``) all lines are there at once.
"""

import re
import subprocess
import sys
import textwrap
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).with_name("images") / "terminal.svg"
COLUMNS, SIZE, LEADING, MARGIN = 102, 13, 18, 14
ADVANCE = 0.62 * SIZE  # of one character in the widest of the usual fonts
FIRST, PAUSE, LAST = 0.6, 0.12, 6.0  # seconds: before the first line, between two, and after the last
OTHERWISE = re.compile(r"platform |rootdir: |configfile: |plugins: |cropdet: |collected |=+ test session|=+ FAILURES")
TOO_LATE = re.compile(r"=+ ranking of |=+ short test summary")  # what the picture leaves out begins here ...
AGAIN = re.compile(r"cropdet demo: ")  # ... and ends here
COLOURS = (
    (re.compile(r"FAIL\b|\S*gate\.py F"), "bad"),
    (re.compile(r"PASS\b"), "good"),
    (re.compile(r"\$ "), "typed"),
    (re.compile(r"[=_]{3,}"), "rule"),
)
STYLE = """
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d8dee9;
white-space: pre }
.bad { fill: #ff9d76; font-weight: 700 } .good { fill: #7fd4ff; font-weight: 700 }
.typed { fill: #fff; font-weight: 700 } .rule { fill: #93a1b5 }
text { animation: shown DURATION linear infinite; opacity: 0 }
@media (prefers-reduced-motion: reduce), print { text { animation: none; opacity: 1 } }
"""


def lines_of(output: str) -> list[str]:
    """Return the lines that are shown: those of the gates and the end, wrapped; nothing of the machine or the time."""
    kept = ["$ make demo"]
    skipping = False
    for line in output.splitlines()[1:]:
        skipping = (skipping or bool(TOO_LATE.match(line))) and not AGAIN.match(line)
        if skipping or OTHERWISE.match(line) or (not line.strip() and not kept[-1].strip()):
            continue
        if AGAIN.match(line):
            kept.append("")
        kept += textwrap.wrap(line, COLUMNS, subsequent_indent="    ", drop_whitespace=False) or [""]
    return [line.rstrip() for line in kept]


def colour(line: str) -> str:
    """Return the class of a line; red and green are not used, and every colour also has its word."""
    return next((f' class="{name}"' for pattern, name in COLOURS if pattern.match(line)), "")


def svg(lines: list[str]) -> str:
    """Return the picture: lines that appear one after another, again and again."""
    width, height = round(COLUMNS * ADVANCE + 2 * MARGIN), len(lines) * LEADING + 2 * MARGIN
    duration = FIRST + PAUSE * len(lines) + LAST
    rules, texts = [], []
    for number, line in enumerate(lines):
        start = 100 * (FIRST * (number > 0) + PAUSE * number) / duration
        rules.append(
            f"@keyframes l{number} {{ 0%, {start:.2f}% {{ opacity: 0 }} {start + 0.01:.2f}%, 100% {{ opacity: 1 }} }}"
        )
        place = f'x="{MARGIN}" y="{MARGIN + SIZE + number * LEADING}"'
        texts.append(
            f'<text {place} style="animation-name: l{number}"{colour(line)}>{escape(line, quote=False)}</text>'
        )
    size = f'width="{width}" height="{height}"'
    label = "make demo in a terminal: the plain detector fails with its causes, the one trained with crops passes"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img">',
        f"<title>{label}</title>",
        f"<style>{STYLE.replace('DURATION', f'{duration:.2f}s')}{chr(10).join(rules)}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b2430"/>',
        *texts,
        "</svg>\n",
    ])  # fmt: skip


def main() -> None:
    """Run the demo and write the picture."""
    done = subprocess.run([sys.executable, "examples/demo.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    TARGET.write_text(svg(lines_of(done.stdout)), encoding="utf-8")


if __name__ == "__main__":
    main()
