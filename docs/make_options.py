"""Writes docs/options.md from the table of options: `python docs/make_options.py`."""

from pathlib import Path

from pytest_cropdet.plugin.options import OPTIONS

HEAD = """# Options

Every option is `--cropdet-x` on the command line, `cropdet_x` in the ini file and `x=` in the marker
`@pytest.mark.cropdet(...)`; the marker wins over the command line, and that over the ini file. Options marked * may be
given several times, one a line in the ini file.

| option | value | default | what it does |
|---|---|---|---|
"""
SPOKEN = {None: "", (): "", False: "off"}


def page() -> str:
    """Return the page's text."""
    rows = []
    for each in OPTIONS:
        several = each.kind == "lines"
        flag = f"`{each.flag}`" + (" *" if several else "")
        words = () if several else each.choices
        value = " ".join(f"`{word}`" for word in words) or (f"`{each.metavar}`" if each.metavar else "")
        default = each.default
        if not isinstance(default, (tuple, bool)) and default is not None:
            default = f"`{default}`"
        elif default:
            default = " ".join(f"`{one}`" for one in default)
        rows.append(f"| {flag} | {value} | {SPOKEN.get(default, default)} | {each.help} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("options.md").write_text(page(), encoding="utf-8")
