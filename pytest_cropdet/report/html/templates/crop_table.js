const crops = (() => {
  const source = document.getElementById("crops-data");
  if (!source) return null;
  const PAGE = 25;
  const ORDERS = { lost: -1, gained: -1, objects: -1, file: 1, gate: 1, window: -1, category: 1, cause: 1, size: 1, label: 1 };
  const BINS = {
    visibility: "visible", distance_to_cut: "distance to the cut", distance_to_cut_relative: "distance to the cut",
    distance_to_border: "distance to the image's edge", cell: "cell of the map",
  };
  const data = JSON.parse(source.textContent);
  const section = document.getElementById("crops-table");
  const place = new Map([...data.letters].map((letter, number) => [letter, number]));
  const NONE = data.letters.length - 1;
  const letter = (text, row) => {
    const value = place.get(text[row]);
    return value === NONE ? -1 : value;
  };
  const gates = new Map(data.gates.map((gate) => [gate.id, gate]));
  const rows = [];
  for (const gate of data.gates) {
    gate.done = new Set(gate.pictures ? gate.pictures.done : []);
    let start = 0;
    gate.rows = new Map();
    gate.place.forEach((number, at) => {
      const row = { gate, at, number, start, end: start + gate.objects[at] };
      start = row.end;
      rows.push(row);
      gate.rows.set(number, row);
    });
  }
  if (data.gates.length > 1) rows.sort((a, b) => b.gate.lost[b.at] - a.gate.lost[a.at]);

  const labelOf = (gate, object) => {
    if (gate.label[object] < 0) return "";
    const [own, other] = [gate.categories[gate.category[object]], gate.categories[gate.label[object]]];
    return gate.fate[object] === "L" ? `${own} → ${other}` : `${other} → ${own}`;
  };
  const causeOf = (gate, object) => gate.steps[letter(gate.step, object)] || "";
  const binOf = (gate, name, object) => gate.labels[name][letter(gate.bins[name], object)] || "";
  const file = (row) => row.gate.files[row.gate.file[row.at]];
  const windowOf = (row) => row.gate.window.slice(4 * row.at, 4 * row.at + 4);
  const hasPicture = (row) => String(row.number) in row.gate.details || row.gate.done.has(row.number);

  // what an object must be, for one gate: null where the gate cannot have it
  const wanted = (gate, state) => {
    const tests = [];
    for (const [name, value] of state) {
      if (name === "fate") tests.push((each) => gate.fate[each] === (value === "lost" ? "L" : "G"));
      else if (name === "category") {
        const at = gate.categories.indexOf(value);
        tests.push((each) => gate.category[each] === at);
      } else if (name === "cause") {
        const sign = data.letters[gate.steps.indexOf(value)];
        tests.push((each) => sign !== undefined && gate.step[each] === sign);
      } else if (name === "label") {
        tests.push((each) => (value === "any" ? gate.label[each] >= 0 : labelOf(gate, each) === value));
      } else if (name in gate.bins) {
        const sign = data.letters[gate.labels[name].indexOf(value)];
        tests.push((each) => sign !== undefined && gate.bins[name][each] === sign);
      }
    }
    return (object) => tests.every((test) => test(object));
  };

  let state = new URLSearchParams();
  let shown = [];
  let counts = { lost: 0, gained: 0 };
  let opened = 0;
  const PAGES = ["sort", "up", "page"];

  const matches = (params) => {
    const tests = new Map(data.gates.map((gate) => [gate, wanted(gate, params)]));
    const [name, gate] = [(params.get("file") || "").toLowerCase(), params.get("gate")];
    const filtered = [...params.keys()].some((key) => !["gate", "file", "picture", ...PAGES].includes(key));
    const found = [];
    const total = { lost: 0, gained: 0 };
    for (const row of rows) {
      if (gate && row.gate.id !== gate) continue;
      if (name && !file(row).toLowerCase().includes(name)) continue;
      if (params.get("picture") && !hasPicture(row)) continue;
      let some = 0;
      for (let each = row.start; each < row.end; each++)
        if (tests.get(row.gate)(each)) {
          some += 1;
          total[row.gate.fate[each] === "L" ? "lost" : "gained"] += 1;
        }
      if (some || !filtered) found.push(row);
    }
    return [found, total];
  };

  const summary = (row, what, lostOnly) => {
    const found = new Map();
    for (let each = row.start; each < row.end; each++) {
      if (lostOnly && row.gate.fate[each] !== "L") continue;
      const value = what(row.gate, each);
      if (value) found.set(value, (found.get(value) || 0) + 1);
    }
    return [...found].map(([value, count]) => (count > 1 ? `${value} ${count}` : value)).join(", ");
  };
  const columns = {
    category: (row) => summary(row, (gate, each) => gate.categories[gate.category[each]], row.gate.lost[row.at] > 0),
    cause: (row) => summary(row, causeOf, row.gate.lost[row.at] > 0),
    size: (row) => summary(row, (gate, each) => binOf(gate, "size", each), row.gate.lost[row.at] > 0),
    label: (row) => summary(row, labelOf, false),
  };
  const keyOf = (row, name) => {
    if (name === "lost" || name === "gained") return row.gate[name][row.at];
    if (name === "file") return file(row);
    if (name === "gate") return row.gate.name;
    if (name === "window") return windowOf(row)[2] * windowOf(row)[3];
    return columns[name](row);
  };
  const sorted = (found, name, up) => {
    if (!(name in ORDERS)) return found;
    const sign = up ? 1 : -1;
    const keys = new Map(found.map((row) => [row, keyOf(row, name)]));
    const order = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    return [...found].sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * order(x, y);
    });
  };

  const make = (tag, more = {}, ...inside) => {
    const each = document.createElement(tag);
    for (const [name, value] of Object.entries(more)) {
      if (name === "class") each.className = value;
      else if (name in each) each[name] = value;
      else each.setAttribute(name, value);
    }
    each.append(...inside);
    return each;
  };
  const query = (params) => {
    const text = params.toString();
    return text ? `?${text}` : "";
  };
  const link = (row) => `#crop-${row.gate.id}-${row.number}${query(state)}`;
  const pictures = (row) => {
    const item = document.getElementById(`crop-${row.gate.id}-${row.number}`);
    const images = item ? [...item.querySelectorAll(".pair img")].map((each) => each.src) : [];
    const { base } = row.gate.pictures || {};
    const own = row.gate.done.has(row.number) ? [`${base}image-${row.gate.file[row.at]}.jpg`, `${base}crop-${row.number}.jpg`] : images;
    return own.length === 2 ? { whole: own[0], crop: own[1], small: images[1] || own[1] } : null;
  };

  // the form: made once, with every value that occurs
  const form = make("form", { class: "filter-form", "aria-label": "filter of the crops" });
  const several = data.gates.length > 1;
  const counted = (what) => {
    const found = new Map();
    for (const gate of data.gates)
      for (let each = 0; each < gate.fate.length; each++) {
        const value = what(gate, each);
        if (value) found.set(value, (found.get(value) || 0) + 1);
      }
    return [...found].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  };
  const chooser = (name, words, values) => {
    if (!values.length) return;
    const select = make("select", { name }, make("option", { value: "" }, "all"));
    for (const [value, text] of values) select.append(make("option", { value }, text));
    form.append(make("label", {}, words, select));
  };
  const number = (count) => count.toLocaleString("en");
  if (several) chooser("gate", "gate", data.gates.map((gate) => [gate.id, gate.name]));
  chooser("fate", "object", [["lost", "lost"], ["gained", "newly found"]]);
  chooser("cause", "cause", counted(causeOf).map(([value, count]) => [value, `${data.phrases[value]} (${number(count)})`]));
  const named = (what) => counted(what).map(([value, count]) => [value, `${value} (${number(count)})`]);
  chooser("category", "category", named((gate, each) => gate.categories[gate.category[each]]));
  chooser("size", "size", named((gate, each) => binOf(gate, "size", each)));
  const changes = named(labelOf);
  chooser("label", "label change", changes.length ? [["any", "any"], ...changes] : []);
  form.append(make("label", {}, "file name", make("input", { type: "search", name: "file" })));
  form.append(make("label", { class: "check" }, make("input", { type: "checkbox", name: "picture", value: "1" }), "with picture"));
  const chips = make("span", { class: "chips" });
  const reset = make("button", { type: "button" }, "show all");
  form.append(chips, reset);
  section.querySelector(".crop-filters").append(form);

  const table = section.querySelector("table");
  const heads = [["file", "crop"], ...(several ? [["gate", "gate"]] : []), ["window", "window"], ["lost", "lost"], ["gained", "gained"],
    ["category", "category"], ["cause", "cause"], ["size", "size"], ["label", "label change"]];
  const head = make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, "picture")));
  for (const [name, words] of heads) {
    const cell = make("th", { scope: "col" }, make("button", { type: "button" }, words));
    cell.dataset.name = name;
    if (name === "lost" || name === "gained") cell.className = "n";
    cell.firstChild.addEventListener("click", () => {
      const up = state.get("sort") === name ? state.get("up") !== "1" : ORDERS[name] > 0;
      change({ sort: name, up: up ? "1" : "0", page: "" });
    });
    head.append(cell);
  }
  table.tHead.replaceChildren(head);
  const count = section.querySelector(".crop-count");
  const pager = section.querySelector(".crop-pages");

  const line = (row) => {
    const [left, top, width, height] = windowOf(row);
    const found = pictures(row);
    const image = found ? make("img", { alt: "", src: found.small, loading: "lazy" }) : "";
    const opener = make("a", { href: link(row), dir: "auto" }, file(row));
    const cells = [
      make("td", { class: "thumb" }, image),
      make("td", { class: "crop-file" }, opener),
      ...(several ? [make("td", { dir: "auto" }, row.gate.name)] : []),
      make("td", { class: "place" }, `${width} × ${height} at (${left}, ${top})`),
      make("td", { class: "n" }, `${row.gate.lost[row.at]} of ${row.gate.found[row.at]}`),
      make("td", { class: "n" }, String(row.gate.gained[row.at])),
      ...["category", "cause", "size", "label"].map((name) => make("td", { dir: "auto" }, columns[name](row))),
    ];
    return make("tr", {}, ...cells);
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    const at = Math.min(pages, Math.max(1, Number(state.get("page")) || 1));
    table.tBodies[0].replaceChildren(...shown.slice((at - 1) * PAGE, at * PAGE).map(line));
    for (const cell of head.cells) {
      if (cell.dataset.name === state.get("sort")) cell.setAttribute("aria-sort", state.get("up") === "1" ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
    const parts = [`${number(shown.length)} of ${number(rows.length)} crops`, `${number(counts.lost)} objects lost`, `${number(counts.gained)} newly found`];
    count.textContent = shown.length ? `${parts.join("; ")}.` : "No crop is like that.";
    const turn = (words, to, off) => {
      const button = make("button", { type: "button", disabled: off }, words);
      button.addEventListener("click", () => {
        change({ page: to > 1 ? String(to) : "" });
        section.scrollIntoView();
      });
      return button;
    };
    const first = (at - 1) * PAGE;
    const words = `rows ${number(first + 1)} to ${number(Math.min(shown.length, first + PAGE))}`;
    pager.replaceChildren(...(pages > 1 ? [turn("← previous", at - 1, at === 1), ` ${words} `, turn("next →", at + 1, at === pages)] : []));
    for (const each of form.elements) {
      if (!each.name) continue;
      if (each.type === "checkbox") each.checked = state.get(each.name) === "1";
      else if (each !== document.activeElement || each.tagName === "SELECT") each.value = state.get(each.name) || "";
      if (each.tagName === "SELECT" && each.selectedIndex < 0) each.value = "";
    }
    chips.replaceChildren();
    for (const [name, value] of state) {
      if (!(name in BINS)) continue;
      const text = name === "cell" ? `row ${1 + Math.floor(value / 8)}, column ${1 + (value % 8)}` : value;
      const chip = make("button", { type: "button", "aria-label": `remove: ${BINS[name]} ${text}` }, `${BINS[name]}: ${text} ✕`);
      chip.addEventListener("click", () => change({ [name]: "", page: "" }));
      chips.append(chip);
    }
    reset.hidden = ![...state.keys()].length;
  };

  const apply = (params) => {
    state = new URLSearchParams([...params].filter(([, value]) => value));
    let found;
    [found, counts] = matches(state);
    shown = sorted(found, state.get("sort"), state.get("up") === "1");
    draw();
  };
  // what the form, a heading or a page changes is kept in the address, without a step to go back
  const change = (values) => {
    const params = new URLSearchParams(state);
    for (const [name, value] of Object.entries(values)) value ? params.set(name, value) : params.delete(name);
    apply(params);
    history.replaceState(null, "", `#crops-table${query(state)}`);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    const { name, type, checked, value } = event.target;
    change({ [name]: type === "checkbox" ? (checked ? "1" : "") : value, page: "" });
  });
  reset.addEventListener("click", () => {
    apply([]);
    history.replaceState(null, "", "#crops-table");
    form.querySelector("select, input").focus();
  });

  // what a chart or a table counts leads to the crops that it counts
  const SVG = "http://www.w3.org/2000/svg";
  for (const each of document.querySelectorAll("[data-filter]")) {
    const gate = gates.get(each.closest("article")?.id);
    if (!gate) continue;
    const params = new URLSearchParams(each.dataset.filter);
    if (several) params.set("gate", gate.id);
    const test = wanted(gate, params);
    let some = false;
    for (let object = 0; object < gate.fate.length && !some; object++) some = test(object);
    if (!some) continue;
    const target = `#crops-table?${params}`;
    if (each.namespaceURI === SVG) {
      const anchor = document.createElementNS(SVG, "a");
      anchor.setAttribute("href", target);
      anchor.setAttribute("class", "filter");
      anchor.setAttribute("aria-label", `show the crops: ${each.dataset.words || each.dataset.filter}`);
      anchor.append(...each.childNodes);
      each.append(anchor);
      const chart = each.closest("svg");
      chart.setAttribute("role", "group");
      chart.setAttribute("aria-label", chart.querySelector("title")?.textContent || "chart");
    } else each.replaceChildren(make("a", { class: "filter", href: target }, ...each.childNodes));
  }

  const read = () => {
    const [id, ...rest] = location.hash.slice(1).split("?");
    return { id, params: new URLSearchParams(rest.join("?")) };
  };
  const follow = (event) => {
    const { id, params } = read();
    const crop = /^crop-(.+)-(\d+)$/.exec(id);
    if (id === "crops-table") {
      apply(params);
      section.scrollIntoView();
    } else if (crop && [...params].length) apply(params);
    crops.show?.(crop ? gates.get(crop[1])?.rows.get(Number(crop[2])) : null, event?.oldURL ? new URL(event.oldURL).hash : "");
  };
  // a picture opens its crop
  for (const item of document.querySelectorAll("li.crop[id] .pair"))
    item.addEventListener("click", () => (location.hash = item.closest("li").id));
  apply([]);
  addEventListener("hashchange", follow);
  return {
    data, make, file, windowOf, labelOf, causeOf, link, pictures, number, follow,
    list: (row) => (shown.includes(row) ? shown : rows),
    // from the dialog to the row of the crop that it showed last, on its page
    back: (row) => {
      const page = Math.floor(shown.indexOf(row) / PAGE) + 1;
      if (page > 1) state.set("page", String(page));
      else state.delete("page");
      draw();
      history.replaceState(null, "", `#crops-table${query(state)}`);
      [...table.querySelectorAll("tbody a")].find((each) => each.getAttribute("href") === link(row))?.focus();
    },
    show: null,
  };
})();
