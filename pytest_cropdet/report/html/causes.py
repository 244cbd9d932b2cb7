"""Why it dropped, as sections: the chain, the fates of objects, and what the controls say."""

from collections.abc import Mapping
from typing import Any

from pytest_cropdet.figures import chain_metric, stacked_bar, waterfall
from pytest_cropdet.report.html.blocks import Block, Chart, Section, Table, Text, bounded_cell, cell, number_cell
from pytest_cropdet.report.html.crop_table import crop_filter
from pytest_cropdet.terms import PHRASES, Record

# What has been changed when an object is first missed, by step.
MISSED_AFTER = {
    "context": "context removed",
    "cut": "objects cut",
    "position": "objects moved",
    "scale": "resized as a crop",
}
TWO_QUESTIONS = (
    "AP lost and objects missed answer two questions. AP averages over all scores and IoU thresholds; an object is "
    "missed at one score and at IoU 0.5. So objects can be missed in a step without a clear effect on AP. Objects that "
    "are newly found in the same step make up for some of them: the net says how many remain."
)

__all__ = ["chain_section", "controls_section", "fates_section", "score_reason"]


def chain_section(gate: Record) -> Section | None:
    """Return the steps as a waterfall, with what stands beside them."""
    steps = gate.get("steps")
    if not steps:
        return None
    told = (gate.get("controls") or {}).get("chain") or {}
    ends = told.get("ap") or {}
    drawn = waterfall(steps, ends.get("whole"), ends.get("crop"), chain_metric(gate["metric"]))
    blocks: list[Block] = []
    if drawn is not None:
        legend = (*((name, PHRASES[name]) for name in PHRASES), ("unsure", "no clear effect: the bounds contain 0"))
        blocks.append(Chart(drawn, f"{chain_metric(gate['metric'])} from the whole image to the crop", legend))
    blocks.append(_steps("The steps in numbers", steps, fold=drawn is not None))
    blocks += [Text(f"{note[0].upper()}{note[1:]}.") for note in told.get("notes", ())]
    lead = (
        "The image is turned into the crop in four steps, one change at a time. Each bar is the AP lost in that step, "
        "averaged over all IoU thresholds and scores; the steps add up to the drop. The line is its bounds."
    )
    return Section("why", "Why it dropped", lead, blocks)


def _steps(caption: str, steps: Any, fold: bool = False) -> Table:
    rows = [
        [
            cell(PHRASES.get(step["name"], step["name"])),
            number_cell(step["value"]),
            number_cell(step["low"]),
            number_cell(step["high"]),
            cell(bool(step["distinguishable"])),
        ]
        for step in steps
    ]
    return Table(caption, ("step", "AP lost", "low", "high", "clear effect"), rows, fold)


def fates_section(gate: Record, counts: Mapping[str, int] | None) -> Section | None:
    """Return what became of the objects; ``counts``: how many were kept, lost, gained, missed."""
    told = gate.get("fates")
    if not told and not counts:
        return None
    blocks: list[Block] = []
    if counts:
        parts = [("found in both", counts["kept"], "kept")]
        if told:
            parts += [
                (f"missed after: {MISSED_AFTER[name]}", each["count"], name) for name, each in told["lost"].items()
            ]
        else:
            parts.append(("missed in the crop", counts["lost"], "loss"))
        parts += [
            ("found in the crop only", counts["gained"], "gain"),
            ("found in neither", counts["missed"], "missed"),
        ]
        legend = tuple((kind, f"{name} {count:,}") for name, count, kind in parts)
        kinds = {name: crop_filter(fate="lost", cause=name) for name in PHRASES}
        kinds |= {"loss": crop_filter(fate="lost"), "gain": crop_filter(fate="gained")}
        drawn = stacked_bar("What became of the objects", parts, kinds)
        blocks.append(Chart(drawn, legend=legend, filters=kinds))
    if told:
        unclear = [step["name"] for step in gate.get("steps") or () if not step["distinguishable"]]
        rows = [
            [
                cell(f"{PHRASES[name]}{' (no clear effect on AP)' if name in unclear else ''}"),
                *_counted(told["lost"][name], crop_filter(fate="lost", cause=name)),
                *_counted(told["gained"][name], crop_filter(fate="gained", cause=name)),
                *([*_counted(told["net"][name], crop_filter(cause=name))] if "net" in told else []),
            ]
            for name in told["lost"]
        ]
        head = ("from this step on", "missed", "share", "newly found", "share")
        net = ("net missed", "share") if "net" in told else ()
        blocks.append(Table("Objects missed and newly found by step, shares of all objects", (*head, *net), rows))
        blocks.append(Text(TWO_QUESTIONS))
        for key, name in (("by_size", "size"), ("by_category", "category")):
            blocks.append(_split(f"Objects missed and newly found by {name}", name, told[key]))
    lead = (
        "An object counts once for each crop that shows it. Found means that a detection of its category matches it at "
        f"IoU 0.5 and scores {gate['operating_point']['score']:.3f} or more{score_reason(gate)}."
    )
    return Section("fates", "The fate of each object", lead, blocks)


def score_reason(gate: Record) -> str:
    """Return in words where the operating point comes from."""
    settings = gate.get("settings") or {}
    if gate["metric"] == "lost" or not settings:
        return ""
    given = settings.get("score_threshold") is not None
    return " (--cropdet-score-threshold)" if given else " (the score with the best F1 on the whole images)"


def _counted(each: Mapping[str, Any], crops: str) -> list[Any]:
    return [cell(int(each["count"])).showing(crops), bounded_cell(dict(each))]


def _split(caption: str, name: str, counts: Mapping[str, Any]) -> Table:
    steps = list(PHRASES)
    head = (name, "missed", *(PHRASES[step] for step in steps), "newly found")
    most_first = sorted(counts.items(), key=lambda pair: (-sum(pair[1]["lost"].values()), pair[0]))
    if name == "size":
        most_first = list(counts.items())
    rows = [
        [
            cell(label),
            cell(sum(each["lost"].values())).showing(crop_filter(**{name: label}, fate="lost")),
            *(
                cell(int(each["lost"].get(step, 0))).showing(crop_filter(**{name: label}, fate="lost", cause=step))
                for step in steps
            ),
            cell(sum(each["gained"].values())).showing(crop_filter(**{name: label}, fate="gained")),
        ]
        for label, each in most_first
    ]
    return Table(caption, head, rows, fold=len(rows) > 3)


def _about_floor(drop: float | None, floor: float | None) -> str:
    """Return what the drop of a perfect detector means, also where it is larger than the drop itself."""
    words = "a cut object keeps a clipped box as truth; a detector that draws its visible mask tightly loses this"
    if drop is not None and floor is not None and floor > drop:
        words += ". It is above the drop: this detector draws boxes as the truth has them, so it does not pay it"
    return words if floor is not None else "needs masks"


def controls_section(gate: Record) -> Section | None:
    """Return what the rules of the comparison, the fill and the detector's cap do to the drop."""
    told = gate.get("controls")
    if not told:
        return None
    drop, cap, chained = gate["drop"]["value"], gate.get("cap"), told.get("chain") or {}
    rows = [
        [cell("the drop as gated"), number_cell(drop), cell("")],
        [
            cell("count boxes mostly outside the window as false positives"),
            number_cell(told.get("without_stray")),
            cell("otherwise they are ignored"),
        ],
        [
            cell("equal numbers of boxes"),
            number_cell(told.get("equal_boxes")),
            cell("each crop keeps as many of its strongest boxes as its reference has"),
        ],
        [
            cell("drop of a perfect detector that draws tight boxes"),
            number_cell(told.get("geometric_floor")),
            cell(_about_floor(drop, told.get("geometric_floor"))),
        ],
    ]
    checked = gate.get("cap_check") or {}
    if (checked.get("missing_found") or {}).get("value") is not None:
        words = "the whole image also finds every object that the detector's limit on boxes may have cut off"
        rows.append([cell("missing objects found"), bounded_cell(checked["missing_found"]), cell(words)])
    if chained.get("placebo"):
        placebo = chained["placebo"]
        words = "effect of the fill alone, on background only"
        rows.append([cell(f"placebo ({chained.get('fill', 'fill')})"), bounded_cell(placebo), cell(words)])
    blocks: list[Block] = [
        Table("The drop with one rule changed at a time", ("control", "AP lost", "what it is"), rows)
    ]
    if cap:
        rows_text = "not known" if cap["rows"] is None else f"{cap['rows']}"
        words = f"On {cap['share']:.1%} of the whole images the detector returned its maximum of boxes ({rows_text})."
        agrees = checked.get("agrees")
        if cap["binds"] and agrees:
            words += " The drop at equal numbers of boxes agrees with the drop as gated."
        elif cap["binds"]:
            words += " That limits the reference: see the drop at equal numbers of boxes."
        elif cap["share"] > 0:
            words += " There are few such images, or their weakest boxes are noise: the reference is not limited."
        blocks.append(Text(words, warn=bool(cap["binds"] and not agrees)))
    evaluator = gate.get("evaluator_cap")
    if evaluator and evaluator["binds"]:
        pairs, largest = evaluator["pairs"], evaluator["largest"]
        words = (
            f"AP counts {evaluator['max_detections']} detections per image and category. That leaves out right "
            f"detections in {pairs['reference']} references and {pairs['crop']} crops; --cropdet-max-detections="
            f"{largest} counts them all. Recall, lost and gained objects count every detection."
        )
        blocks.append(Text(words, warn=True))
    for other in chained.get("other_fills", ()):
        blocks.append(_steps(f"The steps with {other['fill']} fill", other["steps"]))
    for name, steps in (chained.get("orders") or {}).items():
        blocks.append(_steps(f"Order of context and cut: {name}", steps))
    return Section("controls", "Controls", "Checks that the drop is real.", blocks)
