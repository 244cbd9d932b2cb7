"""A map of cells, and histograms laid over one another."""

from collections.abc import Mapping, Sequence
from html import escape

from pytest_cropdet.figures.rows import loss_shares
from pytest_cropdet.figures.style import CLASS_COLOURS
from pytest_cropdet.figures.svg.shapes import Svg, filtered

__all__ = ["heat_map", "histogram", "shown_edges"]

CELL = 40
LEAST = 0.0005  # share of a group in a bin that is drawn at the ends


def heat_map(title: str, lost: Sequence[Sequence[int]], found: Sequence[Sequence[int]], *, leads: bool = True) -> Svg:
    """Return the map of ``lost / found`` in per cent, cell by cell, and ``found``; empty where that is less than 5.

    ``leads``: whether a cell leads to the page's table of crops.
    """
    shares = loss_shares(lost, found)
    known = [share for row in shares for share in row if share is not None]
    most = max([0.1, *known])
    shapes = []
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            place = f'x="{x * CELL}" y="{y * CELL}" width="{CELL}" height="{CELL}"'
            shapes.append(f'<rect class="cell" {place} fill="none" stroke="{CLASS_COLOURS["rule"]}"/>')
            if share is not None:
                shade = f'fill="{CLASS_COLOURS["loss"]}" fill-opacity="{0.6 * share / most:.3f}"'
                drawn = [f'<rect class="f-heat" {place} {shade}/>']
                drawn.append(
                    f'<text class="t-plain" x="{x * CELL + CELL / 2}" y="{y * CELL + CELL / 2 + 5}" '
                    f'text-anchor="middle" fill="currentColor">{100 * share:.0f}</text>'
                )
                drawn.append(
                    f'<text class="t-plain of" x="{x * CELL + CELL / 2}" y="{y * CELL + CELL - 3}" font-size="9" '
                    f'text-anchor="middle" fill="currentColor">n={found[y][x]:,}</text>'
                )
                words = f"row {y + 1}, column {x + 1}"
                crops = f"cell={y * len(row) + x}&fate=lost"
                shapes.append(filtered(drawn, crops, words) if leads else "".join(drawn))
    rows, columns = len(shares), len(shares[0]) if shares else 0
    told = "; ".join(
        f"row {place}: {' '.join('-' if share is None else f'{100 * share:.0f}' for share in row)}"
        for place, row in enumerate(shares, 1)
    )
    wide, high = columns * CELL, rows * CELL
    return _drawing(title, told, f'class="chart heat" style="max-width:{wide}px"', (wide, high), "".join(shapes))


def histogram(title: str, edges: Sequence[float], groups: Mapping[str, Sequence[int]]) -> Svg:
    """Return the shares of each group between ``edges`` as stairs; the class of a group's colour is its name."""
    shares = _shares(groups)
    first, last = shown_edges(edges, groups)
    most = max([0.0001, *(share for counts in shares.values() for share in counts)])
    wide, high = 300.0, 90.0
    lines = []
    for name, counts in shares.items():
        points, step = [f"0,{high}"], wide / max(1, last - first)
        for place, share in enumerate(counts[first:last]):
            y = high - share / most * (high - 4)
            points += [f"{place * step:.1f},{y:.1f}", f"{(place + 1) * step:.1f},{y:.1f}"]
        points.append(f"{wide},{high}")
        dash = ' stroke-dasharray="5 3"' if name == "training" else ""
        lines.append(
            f'<polyline class="s-{escape(name)}" points="{" ".join(points)}" fill="none" '
            f'stroke="{CLASS_COLOURS.get(name, CLASS_COLOURS["mark"])}" stroke-width="2" '
            f'vector-effect="non-scaling-stroke"{dash}/>'
        )
    told = f"from {edges[first]:g} to {edges[last]:g}: {', '.join(groups)}" if len(edges) else "nothing"
    frame = f'class="chart" height="{high:g}" preserveAspectRatio="none"'
    return _drawing(title, told, frame, (wide, high), "".join(lines))


def shown_edges(edges: Sequence[float], groups: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    """Return the places of the first and the last edge between which a histogram is drawn: bins that hold something."""
    places = [place for counts in _shares(groups).values() for place, share in enumerate(counts) if share > LEAST]
    return (min(places), max(places) + 1) if places else (0, len(edges) - 1)


def _shares(groups: Mapping[str, Sequence[int]]) -> dict[str, list[float]]:
    return {name: [count / max(1, sum(counts)) for count in counts] for name, counts in groups.items()}


def _drawing(title: str, told: str, more: str, size: tuple[float, float], shapes: str) -> Svg:
    """Return a chart that is scaled to its place, ``size`` in its own units."""
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {size[0]:g} {size[1]:g}" width="100%" '
        f'font-family="system-ui, sans-serif" font-size="13" {more}>'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{shapes}</svg>"
    )
