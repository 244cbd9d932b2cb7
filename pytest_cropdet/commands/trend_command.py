"""``pytest-cropdet trend``: the history of gates as a picture, a page, and a sentence for each gate."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cropdet.commands.command import AMISS, OK, Command, UsageMistake, Write, nearest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TREND"]

_MOST_DRAWN = 60  # gates, each with a panel of its own, in one picture
_MOST_NAMED = 20  # damaged lines that are named one by one
_CODES = (
    "exit codes: 0 the history was drawn; 1 with --check: the newest drop of a gate is clearly larger than "
    "before; 2 the command was called wrongly, or the history has no line that can be read"
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the history that pytest's option --cropdet-history writes")
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="the folder for trend.png and trend.html (.)"
    )
    parser.add_argument(
        "--gate", metavar="NAME", action="append", default=[], help="only this gate; may be given several times"
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where the newest drop of a gate is clearly larger"
    )


def _run(arguments: argparse.Namespace, write: Write) -> int:
    from pytest_cropdet.comparison import find_trends, read_history
    from pytest_cropdet.errors import SpecError
    from pytest_cropdet.figures import draw_trend
    from pytest_cropdet.files import write_whole
    from pytest_cropdet.report import trend_page, trend_panels
    from pytest_cropdet.terms import one_line

    path = Path(arguments.file)
    if not path.exists():
        raise UsageMistake(f"{path}: there is no such file; pytest --cropdet-history={path} writes it")
    try:
        lines, damaged = read_history(path)
    except SpecError as error:
        raise UsageMistake(str(error)) from error
    trends = find_trends(lines)
    if not trends:
        first = f" ({one_line(damaged[0])})" if damaged else ""
        raise UsageMistake(
            f"{path} has no line of a history that can be read{first}; pytest --cropdet-history=FILE writes a history, "
            "--cropdet-json=FILE a result, which pytest-cropdet diff and badge read"
        )
    for each in damaged[:_MOST_NAMED]:
        write(f"left out: {path.name}, {one_line(each)}")
    if len(damaged) > _MOST_NAMED:
        write(f"left out: {len(damaged) - _MOST_NAMED} more lines")
    names = [trend.gate for trend in trends]
    for name in arguments.gate:
        if name not in names:
            raise UsageMistake(f"--gate={name}: the history has no such gate{nearest(name, names)}")
    trends = [trend for trend in trends if not arguments.gate or trend.gate in arguments.gate]
    for trend in trends:
        write(f"{one_line(trend.gate)}: {trend.text}")
    folder = Path(arguments.output)
    if len(trends) > _MOST_DRAWN:
        write(f"trend.png shows {_MOST_DRAWN} of {len(trends)} gates, trend.html all; --gate=NAME chooses")
    picture, page = draw_trend(trend_panels(trends[:_MOST_DRAWN])), trend_page(trends, damaged, path.name)
    for name, content in (("trend.png", _png(picture)), ("trend.html", page)):
        write_whole(folder / name, content)
        write(f"written: {folder / name}")
    return AMISS if arguments.check and any(trend.is_larger_now for trend in trends) else OK


def _png(figure: "Figure") -> bytes:
    from io import BytesIO

    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


TREND = Command(
    "trend", "Draw the history of gates, and name the commit from which a drop is larger.", _arguments, _run, _CODES
)
