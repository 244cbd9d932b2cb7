"""The first screen of the page: the verdict in words, what it is of, and a row for each limit and each check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pytest_cropdet.figures import bounded_text, number_text
from pytest_cropdet.report.check_texts import check_text, count_verdicts
from pytest_cropdet.report.html.sliced import sliced_limit
from pytest_cropdet.report.limit_rows import LimitRow, limit_rows, named_apart
from pytest_cropdet.report.sliced_texts import only_sliced, without_sliced
from pytest_cropdet.terms import Record

__all__ = ["Decision", "DecisionRow", "WorstPicture", "decide", "short_name"]

PAGE_WORDS = {
    "fail": "FAIL",
    "error": "FAIL",
    "undecided": "UNDECIDED",
    "pass": "PASS",
    "none": "MEASURED",
    "skip": "SKIPPED",
}
ORDER = ("error", "fail", "undecided", "pass", "none", "skip")
UNDECIDED_COUNTS = {
    "fail": "a failed test (--cropdet-undecided=fail)",
    "pass": "a passed test (--cropdet-undecided=pass)",
    "point": "what the value alone says (--cropdet-undecided=point)",
}
GENERIC = ("saved_model", "model", "saved_model.pb")  # file names that need their folder to be recognised
PRINT = 12  # letters of a fingerprint that are shown


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A limit of a gate, or a check: a verdict, a name that leads to it, and its numbers in words."""

    kind: str
    verdict: str
    name: str
    target: str
    value: str
    limit: str
    change: str
    images: str
    why: str = ""
    of: str = "value"

    @property
    def word(self) -> str:
        """The verdict in capitals."""
        return PAGE_WORDS.get(self.verdict, "SKIPPED")


@dataclass(frozen=True, slots=True)
class ModelColumn:
    """A model, or the baseline, with its numbers in the order of the table's rows."""

    name: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class WorstPicture:
    """The crop that lost most: its image with the window, and the crop with the lost objects marked."""

    entry: Mapping[str, Any]
    target: str
    lost: Sequence[Mapping[str, Any]]

    @property
    def words(self) -> str:
        """What it shows, in one line."""
        names = ", ".join(dict.fromkeys(str(each["category"]) for each in self.lost))
        return f"{self.entry['lost']} of {self.entry['found']} objects lost{f': {names}' if names else ''}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the first screen shows. ``facts``: ``(words, value, all of it)``; ``model_rows``: the words of each row."""

    verdict: str
    counts: str
    facts: Sequence[tuple[str, str, str]]
    rows: Sequence[DecisionRow]
    model_rows: Sequence[str]
    models: Sequence[ModelColumn]
    worst: WorstPicture | None

    @property
    def word(self) -> str:
        """The verdict in capitals."""
        return PAGE_WORDS.get(self.verdict, "NO RESULT")

    @property
    def title(self) -> str:
        """The verdict and what it counts, in one line."""
        return f"{self.word}: {self.counts}"

    @property
    def has_change(self) -> bool:
        """Whether any row has numbers of whole image and crop."""
        return any(row.change for row in self.rows)


def decide(
    gates: Sequence[tuple[str, Record, Mapping[str, Any] | None]],
    checks: Sequence[Record],
    counts: str,
    unfinished: int,
    origin: Sequence[tuple[str, str]] = (),
    others: Sequence[Record] = (),
    versions: Mapping[str, str] | None = None,
) -> Decision:
    """Return the first screen.

    ``gates``: id on the page, record and gallery of each; ``checks``: records of invariants and searches; ``others``:
    of benchmarks. ``unfinished``: how many tests gave no result; ``origin``: date and commit, in words.
    """
    apart = named_apart(record for _, record, _ in gates)
    rows = [row for (key, _, _), record in zip(gates, apart, strict=True) for row in _gate_rows(key, record)]
    rows += [_sliced_row(f"s{number}", each) for number, each in enumerate(only_sliced(checks), 1)]
    rows.sort(key=lambda row: ORDER.index(row.verdict) if row.verdict in ORDER else 0)
    rows += _check_rows(without_sliced(checks))
    records = [record for _, record, _ in gates]
    names, models = _models(records)
    return Decision(
        verdict=_overall([row.verdict for row in rows], unfinished, bool(others)),
        counts=counts,
        facts=_facts([*records, *checks, *others], records, origin, versions or {}),
        rows=rows,
        model_rows=names,
        models=models,
        worst=_worst(gates),
    )


def _overall(verdicts: Sequence[str], unfinished: int, measured: bool) -> str:
    """Return the verdict of a session: what failed, what gave no result, what is undecided, what passes."""
    if any(each in ("fail", "error") for each in verdicts):
        return "fail"
    if unfinished or not (verdicts or measured):
        return ""
    judged = [each for each in verdicts if each not in ("none", "skip")]
    if judged:
        return "undecided" if "undecided" in judged else "pass"
    return "undecided" if "skip" in verdicts else "none"


def _gate_rows(key: str, record: Record) -> list[DecisionRow]:
    return [_gate_row(key, record, row) for row in limit_rows(record)]


def _gate_row(key: str, record: Record, row: LimitRow) -> DecisionRow:
    signs = {verdict["measure"]: verdict.get("operator", "<=") for verdict in record["verdicts"]}
    sign = signs.get(row.measure, "<=").replace("<=", "≤").replace(">=", "≥")
    change = ""
    if row.before is not None and row.after is not None:
        metric = record["metric"] if row.is_drop or row.measure in ("ratio", "AP(crop)") else row.change
        change = f"{metric} {number_text(row.before)} → {number_text(row.after)}"
    return DecisionRow(
        kind="gate",
        verdict=row.verdict,
        name=row.name,
        target=key,
        value=bounded_text(row.value, row.low, row.high),
        limit="-" if row.limit is None else f"{sign} {row.limit:.3f}",
        change=change,
        images=f"{row.images:,}",
        why=row.why or "",
        of="drop" if row.is_drop else "value",
    )


def _sliced_row(key: str, record: Record) -> DecisionRow:
    value, limit, change = sliced_limit(record)
    images, why = f"{record['images']:,}", record["reason"] or ""
    return DecisionRow("gate", record["verdict"], record["name"], key, value, limit, change, images, why, "gain")


def _check_rows(checks: Sequence[Record]) -> list[DecisionRow]:
    """Return a row for each check that fails, and one for all that pass and all that were skipped."""
    found = []
    for check in checks:
        if check["verdict"] == "fail":
            value, allowed = check.get("value"), check.get("allowed")
            target = "c1-invariants" if check["kind"] == "invariant" else "c1"
            shown = "lost an object" if value is None else f"{value:.3g}"
            limit = "-" if allowed is None else f"≤ {allowed:.3g}"
            found.append(DecisionRow("check", "fail", check["name"], target, shown, limit, "", "", check_text(check)))
    count = count_verdicts(checks)
    for verdict, words in (("pass", "pass"), ("skip", "could not be judged")):
        if count[verdict]:
            checks_of_it = [check["name"] for check in checks if check["verdict"] == verdict]
            name = checks_of_it[0] if len(checks_of_it) == 1 else f"{count[verdict]} checks {words}"
            found.append(DecisionRow("check", verdict, name, "c1", "", "", "", ""))
    return found


def short_name(name: str) -> str:
    """Return a detector's name without the folders of its file; a generic file name keeps one.

    >>> short_name("tflite:/a/b/ssd.tflite"), short_name("saved_model:/a/net/saved_model"), short_name("mine:make")
    ('tflite:ssd.tflite', 'saved_model:net/saved_model', 'mine:make')
    """
    kind, colon, rest = name.partition(":")
    path = PurePosixPath((rest if colon else kind).replace("\\", "/"))
    if "://" in name or len(path.parts) < 2:
        return name
    kept = path.parts[-2:] if path.name in GENERIC else path.parts[-1:]
    return f"{kind}:{'/'.join(kept)}" if colon else "/".join(kept)


def _facts(
    records: Sequence[Record],
    gates: Sequence[Record],
    origin: Sequence[tuple[str, str]],
    versions: Mapping[str, str],
) -> list[tuple[str, str, str]]:
    """Return what the verdict is of: ``(words, value, all of it)``."""
    facts = []
    detectors = {str(each["detector"]["name"]): each["detector"] for each in records}
    if len(detectors) == 1 and not gates:
        (name, detector), *_ = detectors.items()
        facts.append(("model", short_name(name), name))
        if detector.get("fingerprint"):
            facts.append(("fingerprint", str(detector["fingerprint"])[:PRINT], str(detector["fingerprint"])))
    for each in dict.fromkeys(str(record["dataset"]) for record in records):
        facts.append(("data", "/".join(PurePosixPath(each.replace("\\", "/")).parts[-2:]), each))
    facts += [(words, value, value) for words, value in origin]
    if "pytest-cropdet" in versions:
        facts.append(("pytest-cropdet", versions["pytest-cropdet"], versions["pytest-cropdet"]))
    for each in dict.fromkeys(str(gate["settings"].get("undecided", "fail")) for gate in gates if gate.get("settings")):
        facts.append(("undecided counts as", UNDECIDED_COUNTS.get(each, each), ""))
    return facts


def _models(gates: Sequence[Record]) -> tuple[list[str], list[ModelColumn]]:
    """Return the rows and columns of the table of models: each model of the gates, then the baseline."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for gate in gates:
        detector = gate["detector"]
        groups.setdefault((str(detector["name"]), str(detector.get("fingerprint") or "")), []).append(gate)
    plans = list(dict.fromkeys(str(gate["plan"]) for gate in gates))
    # of one model alone the rows of its gates have these numbers already
    shown_plans = plans if len(groups) > 1 or any(gate.get("against") for gate in gates) else []
    columns = list[ModelColumn]()
    for (name, printed), own in groups.items():
        whole = own[0].get("whole_images") or {}
        cells = [short_name(name), printed[:PRINT] or "none", _whole(whole, "mAP"), _whole(whole, "AP50")]
        for plan in shown_plans:
            of_plan = [each for each in own if each["plan"] == plan]
            cells += [_change(of_plan[0]), bounded_text(*_bounds(of_plan[0]["drop"]))] if of_plan else ["-", "-"]
        columns.append(ModelColumn(_label(own, len(groups)), cells))
        columns += _baseline(own, shown_plans)
    named = [f", {plan}" if len(plans) > 1 else "" for plan in shown_plans]
    metric = next((gate["metric"] for gate in gates), "mAP")
    change, drop = (f"{metric}, whole → crop", "drop") if metric != "lost" else ("found, whole → crop", "share lost")
    rows = ["file", "fingerprint", "mAP of whole images (COCO)", "AP50 of whole images (COCO)"]
    for plan in named:
        rows += [f"{change}{plan}", f"{drop}{plan}"]
    return (rows, columns) if columns else ([], [])


def _baseline(own: Sequence[Record], plans: Sequence[str]) -> list[ModelColumn]:
    """Return the column of the old model that gates were compared with, if they were."""
    against = {str(each["plan"]): each["against"] for each in own if each.get("against")}
    if not against:
        return []
    old_model = next(iter(against.values())).get("old") or {}
    cells = [short_name(str(old_model.get("name") or "-")), str(old_model.get("fingerprint") or "-")[:PRINT], "-", "-"]
    for plan in plans:
        old = (against.get(plan) or {}).get("ap", {}).get("old")
        if old is None or old.get("reference") is None or old.get("crop") is None:
            cells += ["-", "-"]
        else:
            before, after = old["reference"], old["crop"]
            cells += [f"{number_text(before)} → {number_text(after)}", number_text(before - after)]
    return [ModelColumn("baseline", cells)]


def _label(own: Sequence[Record], models: int) -> str:
    """Return what a model is called: with several models a gate's name begins with the model's."""
    prefixes = {str(each["name"] or "").rpartition("-")[0] for each in own}
    if models > 1 and len(prefixes) == 1 and (prefix := prefixes.pop()):
        return prefix
    return "model" if models == 1 else short_name(str(own[0]["detector"]["name"]))


def _whole(whole: Mapping[str, Any], metric: str) -> str:
    return "-" if whole.get(metric) is None else number_text(whole[metric])


def _change(gate: Record) -> str:
    if gate["metric"] == "lost":
        return "-"
    values = gate[{"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}[gate["metric"]]]
    return f"{number_text(values['reference'])} → {number_text(values['crop'])}"


def _bounds(drop: Record) -> tuple[Any, Any, Any]:
    return drop["value"], drop["low"], drop["high"]


def _worst(gates: Sequence[tuple[str, Record, Mapping[str, Any] | None]]) -> WorstPicture | None:
    """Return the worst crop of the first gate that has a picture of one."""
    for key, _, gallery in gates:
        entry = next((each for each in (gallery or {}).get("entries", ())[:1] if each["pictures"]), None)
        if entry is not None:
            return WorstPicture(entry, f"{key}-crops", [each for each in entry["objects"] if each["fate"] == "lost"])
    return None
