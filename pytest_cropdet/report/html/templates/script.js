"use strict";
(() => {
  document.documentElement.classList.add("js");

  for (const gallery of document.querySelectorAll(".gallery")) {
    const form = gallery.querySelector("form.controls");
    if (!form) continue;
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const box of form.querySelectorAll("[data-show]")) {
      box.addEventListener("change", () => gallery.classList.toggle("hide-" + box.dataset.show, !box.checked));
      gallery.classList.toggle("hide-" + box.dataset.show, !box.checked);
    }
    const onlyLost = form.querySelector("[data-only-lost]");
    onlyLost.addEventListener("change", () => gallery.classList.toggle("only-lost", onlyLost.checked));
    gallery.classList.toggle("only-lost", onlyLost.checked);
    const large = form.querySelector("[data-large]");
    large.addEventListener("change", () => gallery.classList.toggle("large", large.checked));
    gallery.classList.toggle("large", large.checked);
    for (const [name, kind] of [["ignored", "show-ignored"], ["labels", "labels"]]) {
      const box = form.querySelector(`[data-${name}]`);
      box.addEventListener("change", () => gallery.classList.toggle(kind, box.checked));
      gallery.classList.toggle(kind, box.checked);
    }
    const slider = form.querySelector("[data-least]");
    const scored = gallery.querySelectorAll("[data-score]");
    slider.addEventListener("input", () => {
      const least = Number(slider.value);
      form.querySelector("output").textContent = least.toFixed(2);
      for (const box of scored) box.classList.toggle("weak", Number(box.dataset.score) < least);
    });
  }

  const compare = (a, b) => {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
  };
  const sort = (table, column, falling) => {
    const body = table.tBodies[0];
    const key = (row) => row.cells[column].dataset.key;
    const rows = [...body.rows];
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
      return falling ? compare(y, x) : compare(x, y);
    });
    body.append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tBodies[0].rows.length < 2) continue;
    const heads = [...table.tHead.rows[0].cells];
    for (const row of table.tBodies[0].rows)
      for (const cell of row.cells)
        if (cell.dataset.key === undefined && !cell.classList.contains("n")) cell.dataset.key = cell.textContent.trim().toLowerCase();
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const number = head.classList.contains("n");
        const was = head.getAttribute("aria-sort");
        const falling = was ? was === "ascending" : number;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        sort(table, column, falling);
      });
    });
  }

  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("main details")) if (each.querySelectorAll("tr").length < 60) each.open = true;
  });
})();
