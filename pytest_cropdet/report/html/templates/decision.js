(() => {
  for (const box of document.querySelectorAll(".copied")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "copy";
    button.addEventListener("click", async () => {
      const text = box.querySelector("code").textContent;
      let done = false;
      try {
        await navigator.clipboard.writeText(text);
        done = true;
      } catch {
        const range = document.createRange();
        range.selectNodeContents(box.querySelector("code"));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "copied" : "press Ctrl+C";
      setTimeout(() => (button.textContent = "copy"), 2000);
    });
    box.append(button);
  }

  const links = new Map();
  for (const link of document.querySelectorAll("nav a[href^='#']")) links.set(link.hash.slice(1), link);
  const parts = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  let waiting = false;
  const mark = () => {
    waiting = false;
    const line = innerHeight / 3;
    let here = parts[0];
    for (const part of parts) if (part.getBoundingClientRect().top <= line) here = part;
    if (innerHeight + scrollY >= document.documentElement.scrollHeight - 2) here = parts[parts.length - 1];
    for (const link of links.values()) link.removeAttribute("aria-current");
    const link = here && links.get(here.id);
    if (!link) return;
    link.setAttribute("aria-current", "location");
    const group = link.closest("nav details");
    if (group && !group.open) {
      for (const other of document.querySelectorAll("nav details")) other.open = other === group;
    }
  };
  const later = () => {
    if (!waiting) requestAnimationFrame(mark);
    waiting = true;
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  mark();
})();
