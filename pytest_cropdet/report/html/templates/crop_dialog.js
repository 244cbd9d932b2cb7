(() => {
  const dialog = document.getElementById("crop-dialog");
  if (!crops || !dialog) return;
  const { data, make, file, windowOf } = crops;
  const SVG = "http://www.w3.org/2000/svg";
  const NAMES = { whole: "whole image", context: "context removed", cut: "objects cut", moved: "moved to the corner", crop: "the crop" };
  const RANK = { lost: 0, gained: 1, missed: 2, kept: 3 };
  const ZOOMS = [1, 1.5, 2, 3, 4];
  const part = (name) => dialog.querySelector(`.crop-${name}`);
  let current = null;
  let zoom = 1;
  let all = false;
  let from = "";
  let serial = 0;

  const shape = (tag, more, ...inside) => {
    const each = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(more)) each.setAttribute(name, value);
    each.append(...inside);
    return each;
  };
  const frame = (width, height, words) => shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words, class: "crop-frame" });
  const image = (href, x, y, width, height, more = {}) => shape("image", { href, x, y, width, height, preserveAspectRatio: "none", ...more });
  const rect = (box, kind, more = {}) =>
    shape("rect", { x: box[0], y: box[1], width: Math.max(0, box[2] - box[0]), height: Math.max(0, box[3] - box[1]), class: kind, ...more });
  const marked = (box, kind, words, number) => {
    const group = shape("g", { class: `mark ${kind}` }, rect(box, "back"), rect(box, "edge"));
    if (number !== undefined) group.dataset.object = number;
    if (words) {
      const label = shape("text", { x: box[0], y: box[1] }, words);
      label.dataset.right = box[2];
      group.append(label);
    }
    return group;
  };
  const score = (value) => (value === undefined || value === null ? "-" : value.toFixed(2));

  // what is known of a crop: everything of one with a picture on the page, the changed objects of any other
  const known = (row) => {
    const { gate } = row;
    const details = gate.details[row.number];
    if (details) return details;
    const objects = [];
    for (let each = row.start; each < row.end; each++) {
      const scores = {};
      if (gate.whole[each] >= 0) scores.whole = gate.whole[each] / 100;
      if (gate.crop[each] >= 0) scores.crop = gate.crop[each] / 100;
      objects.push({
        id: gate.annotation[each], category: gate.categories[gate.category[each]], box: gate.box.slice(4 * each, 4 * each + 4),
        fate: gate.fate[each] === "L" ? "lost" : "gained", step: crops.causeOf(gate, each) || undefined,
        became: gate.fate[each] === "L" && gate.label[each] >= 0 ? gate.categories[gate.label[each]] : undefined, scores,
      });
    }
    return { objects, renderings: {}, kept: [], fill: null, few: true };
  };
  const shift = (box, by) => [box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]];
  const isFound = (object, name, gate) => (object.scores[name] ?? -1) >= gate.score;

  const boxes = (svg, row, what, name, by) => {
    what.objects.forEach((object, number) => {
      const changed = object.fate === "lost" || object.fate === "gained";
      if (!changed && !all) return;
      const words = object.fate === "lost" ? `✕ ${object.category}` : object.category;
      svg.append(marked(shift(object.box, by), changed ? object.fate : "other", words, number));
    });
    for (const [category, value, ...box] of what.renderings[name] || []) {
      const near = what.objects.filter((object) => (object.fate === "lost" || object.fate === "gained") && overlap(object.box, box) >= 0.5);
      const quiet = near.every((object) => object.category === category); // its label shows when the pointer is on it
      if (all || near.length) svg.append(marked(shift(box, by), `detected${quiet ? " quiet" : ""}`, `${category} ${score(value)}`));
    }
  };
  const overlap = (a, b) => {
    const wide = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
    const high = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    if (wide <= 0 || high <= 0) return 0;
    const both = wide * high;
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
  };

  const views = (row, what, found) => {
    const [left, top, width, height] = windowOf(row);
    const [wide, high] = row.gate.sides.slice(2 * row.gate.file[row.at], 2 * row.gate.file[row.at] + 2);
    const whole = frame(wide, high, `whole image ${file(row)} with the crop outlined`);
    const crop = frame(width, height, "the crop");
    for (const [svg, w, h, href] of [[whole, wide, high, found?.whole], [crop, width, height, found?.crop]])
      svg.append(href ? image(href, 0, 0, w, h) : rect([0, 0, w, h], "blank"));
    whole.append(marked([left, top, left + width, top + height], "window", ""));
    boxes(whole, row, what, "whole", [left, top]);
    boxes(crop, row, what, "crop", [0, 0]);
    const figures = [[whole, wide / high, "Whole image; the crop is outlined"], [crop, width / height, "The crop"]].map(([svg, ratio, words]) => {
      const figure = make("figure", {}, svg, make("figcaption", {}, words));
      figure.style.setProperty("--shape", ratio);
      return figure;
    });
    part("views").replaceChildren(make("div", { class: "crop-pair" }, ...figures));
  };

  const renderings = (row, what, found) => {
    const [left, top, width, height] = windowOf(row);
    const [wide, high] = row.gate.sides.slice(2 * row.gate.file[row.at], 2 * row.gate.file[row.at] + 2);
    const names = Object.keys(NAMES).filter((name) => name in what.renderings);
    if (names.length < 3 || !found) return part("renderings").replaceChildren();
    const scored = what.objects.filter((object) => object.fate);
    const figures = names.map((name, at) => {
      const svg = name === "crop" ? frame(width, height, NAMES.crop) : frame(wide, high, NAMES[name]);
      const window = [left, top, left + width, top + height];
      if (name === "whole") svg.append(image(found.whole, 0, 0, wide, high));
      else if (name === "crop") svg.append(image(found.crop, 0, 0, width, height));
      else {
        svg.append(rect([0, 0, wide, high], "blank"));
        if (what.fill) svg.append(image(`data:image/png;base64,${what.fill}`, 0, 0, wide, high));
        if (name === "moved") svg.append(image(found.crop, 0, 0, width, height));
        else {
          const id = `crop-clip-${(serial += 1)}`;
          const open = [window, ...(name === "context" ? what.kept : [])];
          svg.append(shape("clipPath", { id }, ...open.map((box) => rect(box, "open"))));
          svg.append(image(found.whole, 0, 0, wide, high, { "clip-path": `url(#${id})` }));
        }
      }
      const by = name === "crop" || name === "moved" ? [0, 0] : [left, top];
      scored.forEach((object, number) => {
        const seen = isFound(object, name, row.gate);
        if (seen || isFound(object, "whole", row.gate) || object.fate === "gained") svg.append(marked(shift(object.box, by), seen ? "seen" : "lost", "", what.objects.indexOf(object)));
      });
      const count = scored.filter((object) => isFound(object, name, row.gate)).length;
      const before = at ? scored.filter((object) => isFound(object, names[at - 1], row.gate) && !isFound(object, name, row.gate)) : [];
      const told = [make("strong", {}, NAMES[name]), make("br"), `${count} of ${scored.length} objects found`];
      if (before.length) told.push(make("br"), make("span", { class: "less" }, `lost here: ${[...new Set(before.map((object) => object.category))].join(", ")}`));
      const wrong = (what.renderings[name] || []).filter(([category, , ...box]) => scored.some((object) => object.fate === "lost" && object.category !== category && overlap(object.box, box) >= 0.5));
      if (wrong.length) told.push(make("br"), `says ${wrong.map(([category, value]) => `${category} ${score(value)}`).join(", ")}`);
      return make("figure", {}, svg, make("figcaption", {}, ...told));
    });
    part("renderings").replaceChildren(make("h3", {}, "From the whole image to the crop, one change at a time"), make("div", { class: "crop-strip" }, ...figures));
  };

  const table = (row, what) => {
    const chain = Object.keys(NAMES).filter((name) => name === "whole" || name === "crop" || what.objects.some((object) => name in object.scores) || name in what.renderings);
    const words = { ...NAMES, context: "context removed", moved: "moved" };
    const heads = ["object", "fate", "lost or found from", "called instead", ...chain.map((name) => words[name]), "visible"];
    const head = make("tr");
    heads.forEach((text, at) => head.append(make("th", { scope: "col", class: at > 3 ? "n" : "" }, text)));
    dialog.querySelector(".crop-objects thead").replaceChildren(head);
    const order = what.objects.map((object, number) => [object, number]);
    order.sort(([a], [b]) => (RANK[a.fate] ?? 4) - (RANK[b.fate] ?? 4) || (b.scores.whole ?? -1) - (a.scores.whole ?? -1));
    const lines = order.map(([object, number]) => {
      const fate = { lost: "lost", gained: "newly found", missed: "found in neither", kept: "found in both" }[object.fate] || "not scored";
      const became = object.became ? `${object.became}${object.became_score === undefined ? "" : ` ${score(object.became_score)}`}` : "";
      const line = make("tr", { class: object.fate || "ignored" },
        make("td", { dir: "auto" }, object.category), make("td", { class: "fate" }, fate), make("td", {}, data.phrases[object.step] || ""), make("td", { dir: "auto" }, became),
        ...chain.map((name) => make("td", { class: `n${isFound(object, name, row.gate) ? " seen" : ""}` }, score(object.scores[name]))),
        make("td", { class: "n" }, score(object.visibility)));
      for (const [event, on] of [["mouseenter", true], ["mouseleave", false]])
        line.addEventListener(event, () => {
          for (const mark of dialog.querySelectorAll(`[data-object="${number}"]`)) mark.classList.toggle("hot", on);
        });
      return line;
    });
    dialog.querySelector(".crop-objects tbody").replaceChildren(...lines);
  };

  // letters and lines keep their size whatever the picture's is
  const fit = () => {
    for (const svg of part("views").querySelectorAll("svg")) {
      const unit = svg.viewBox.baseVal.width / (svg.getBoundingClientRect().width || 1);
      svg.style.setProperty("--unit", `${unit}px`);
      const taken = [];
      for (const label of svg.querySelectorAll("text")) {
        const quiet = label.parentNode.classList.contains("quiet");
        label.style.fontSize = `${13 * unit}px`;
        label.style.strokeWidth = `${3 * unit}px`;
        const length = label.getComputedTextLength();
        const right = svg.viewBox.baseVal.width;
        const x = Math.max(2 * unit, Math.min(Number(label.parentNode.querySelector("rect").getAttribute("x")) + 3 * unit, right - length - 3 * unit));
        let y = Math.max(13 * unit, Number(label.parentNode.querySelector("rect").getAttribute("y")) + 13 * unit);
        while (!quiet && taken.some(([a, b, c]) => Math.abs(b - y) < 14 * unit && x < a + c && a < x + length)) y += 14 * unit;
        if (!quiet) taken.push([x, y, length]);
        label.setAttribute("x", x);
        label.setAttribute("y", y);
      }
    }
  };
  const size = () => {
    dialog.style.setProperty("--zoom", zoom);
    part("zoom").textContent = `${Math.round(100 * zoom)} %`;
    dialog.querySelector("[data-do=smaller]").disabled = zoom === ZOOMS[0];
    dialog.querySelector("[data-do=larger]").disabled = zoom === ZOOMS[ZOOMS.length - 1];
    fit();
  };

  const draw = () => {
    const row = current;
    const { gate } = row;
    const what = known(row);
    const found = crops.pictures(row);
    const [left, top, width, height] = windowOf(row);
    const list = crops.list(row);
    const at = list.indexOf(row);
    const gained = gate.gained[row.at] ? `, ${gate.gained[row.at]} newly found` : "";
    part("head").querySelector("h2").replaceChildren(make("bdi", {}, file(row)), `: ${gate.lost[row.at]} of ${gate.found[row.at]} lost${gained}`);
    part("place").textContent = ` ${crops.number(at + 1)} of ${crops.number(list.length)} `;
    dialog.querySelector("[data-do=previous]").disabled = at === 0;
    dialog.querySelector("[data-do=next]").disabled = at === list.length - 1;
    part("link").setAttribute("href", `#crop-${gate.id}-${row.number}`);
    const none = found ? "" : " No picture of this crop is on this page: --cropdet-report=DIR/ (with the slash) writes pictures of all of them.";
    part("where").textContent = `${gate.name}: window ${width} × ${height} at (${left}, ${top}).${none}`;
    views(row, what, found);
    renderings(row, what, found);
    table(row, what);
    part("point").textContent = `Found means a score of ${gate.score.toFixed(3)} or more at IoU 0.5${gate.why}. Scores are of the detection that lies on the object${what.few ? "; only objects that changed are listed" : ""}.`;
    size();
  };
  const go = (by) => {
    const list = crops.list(current);
    const row = list[list.indexOf(current) + by];
    if (!row) return;
    current = row;
    history.replaceState(null, "", crops.link(row));
    draw();
  };
  const larger = (by) => {
    zoom = ZOOMS[Math.max(0, Math.min(ZOOMS.length - 1, ZOOMS.indexOf(zoom) + by))];
    size();
  };
  const actions = {
    previous: () => go(-1), next: () => go(1), smaller: () => larger(-1), larger: () => larger(1), close: () => dialog.close(),
  };
  for (const button of dialog.querySelectorAll("button[data-do]")) button.addEventListener("click", actions[button.dataset.do]);
  dialog.querySelector("[data-do=all]").addEventListener("change", (event) => {
    all = event.target.checked;
    draw();
  });
  // of the document: a link to a crop may take the focus out of the dialog when the page has loaded
  document.addEventListener("keydown", (event) => {
    if (!dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = { ArrowLeft: "previous", ArrowRight: "next", "+": "larger", "=": "larger", "-": "smaller" }[event.key];
    const scrolls = zoom > 1 && event.key.startsWith("Arrow") && event.target === part("views");
    if (!key || scrolls) return;
    event.preventDefault();
    actions[key]();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    if (!current) return;
    const row = current;
    current = null;
    if (location.hash.includes("?") || from.startsWith("#crops-table")) crops.back(row);
    else history.replaceState(null, "", from && !from.startsWith("#crop-") ? from : location.href.split("#")[0]);
  });
  addEventListener("resize", () => dialog.open && fit());

  crops.show = (row, before) => {
    if (!row) {
      current = null;
      if (dialog.open) dialog.close();
      return;
    }
    if (!dialog.open) from = before;
    current = row;
    if (!dialog.open) {
      dialog.showModal();
      part("head").querySelector("h2").focus();
    }
    draw();
  };
  crops.follow();
})();
