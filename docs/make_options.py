"""Writes docs/options.md from the table of options: `python docs/make_options.py`."""

from pathlib import Path

from pytest_cropdet.plugin.options import NOT_FOR_MARKERS, OPTIONS, Option

HEAD = """# Options

Set an option on the command line, in the ini file, or in the marker `@pytest.mark.cropdet(...)`. The marker wins over
the command line, and the command line over the ini file. Options marked * may be given several times, one per line in
the ini file. The [table](#table) has all of them; below it each option has a block to paste from.

## Table

| option | value | default | what it does |
|---|---|---|---|
"""
BLOCKS = """
## One by one

The ini lines go under `[pytest]` in `pytest.ini`. In `pyproject.toml` the same keys go under
`[tool.pytest.ini_options]`, with texts in quotes: [an example](quickstart.md#in-your-projects-configuration).

"""
SPOKEN = {None: "", (): "", False: "off"}
WORDS = {"string": "text", "path": "path", "lines": "texts", "int": "whole number", "float": "number", "flag": "switch"}


def shown_default(each: Option) -> str:
    """Return an option's default, in code where it is a value."""
    default = each.default
    if isinstance(default, tuple) and default:
        return " ".join(f"`{one}`" for one in default)
    if default in ("", None, (), False):
        return SPOKEN.get(default, "")
    return f"`{default}`"


def row(each: Option) -> str:
    """Return an option's row of the table."""
    several = each.kind == "lines"
    words = () if several else each.choices
    value = " ".join(f"`{word}`" for word in words) or (f"`{each.metavar}`" if each.metavar else "")
    flag = f"[`{each.flag}`](#{each.flag})" + (" *" if several else "")
    return f"| {flag} | {value} | {shown_default(each)} | {each.help} |".replace("|N`", "\\|N`").replace(
        "|off`", "\\|off`"
    )


def block(each: Option) -> str:
    """Return an option's block: command line, ini file, marker, kind, values and default."""
    value = f"{'|'.join(each.choices) if each.choices and each.kind != 'lines' else each.metavar}"
    flag = each.kind == "flag"
    line = each.flag if flag else f"{each.flag}={value}"
    marker = f"@pytest.mark.cropdet({each.name}={'True' if flag else '...'})"
    if each.name in NOT_FOR_MARKERS:
        marker = "none: of the whole session"
    ini = f"cropdet_{each.name} = {'true' if flag else value}"
    facts = [f"{'several ' if each.kind == 'lines' else ''}{WORDS[each.kind]}"]
    if each.choices and each.kind == "lines":
        facts.append("one or more of " + ", ".join(f"`{word}`" for word in each.choices))
    if each.share:
        facts.append("0 to 1")
    if each.least is not None:
        facts.append(f"at least {each.least}")
    if each.alone is not None:
        facts.append(f"without a value: `{each.alone}`")
    facts.append(f"default: {shown_default(each) or 'none'}")
    text = each.help[0].upper() + each.help[1:]
    return (
        f"### `{each.flag}`\n\n{text}. ({'; '.join(facts)})\n\n```text\n"
        f"command line  {line}\nini file      {ini}\nmarker        {marker}\n```\n"
    )


def page() -> str:
    """Return the page's text."""
    return HEAD + "\n".join(map(row, OPTIONS)) + "\n" + BLOCKS + "\n".join(map(block, OPTIONS))


if __name__ == "__main__":
    Path(__file__).with_name("options.md").write_text(page(), encoding="utf-8")
