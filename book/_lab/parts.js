// Pieces of pages that all of the laboratory uses.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const node = (name, about = {}, ...children) => {
    const made = ["svg", "path"].includes(name) ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(about)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (typeof value === "boolean" && key.startsWith("aria-")) made.setAttribute(key, value);
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  };
  const button = (text, onclick, about = {}) => node("button", { type: "button", onclick, ...about }, text);
  const options = (entries) => Object.entries(entries).map(([value, text]) => node("option", { value }, text));
  // A labelled choice; `change` is called with the value.
  const field = (title, name, entries, change) =>
    node("label", {}, `${title} `, node("select", { name, onchange: (event) => change(event.target.value) }, ...options(entries)));
  // A table that scrolls by itself; cells of the first column are heads of their rows.
  const table = (title, heads, rows, wide = false) =>
    node("div", { class: "cxr-scroll", role: "region", tabindex: "0", "aria-label": title }, node("table", { class: wide ? "cxr-wide" : "" },
      node("thead", {}, node("tr", {}, ...heads.map((head) => node("th", { scope: "col" }, head)))),
      node("tbody", {}, ...rows.map(([first, ...rest]) => node("tr", {}, node("th", { scope: "row" }, first), ...rest.map((cell) =>
        (cell instanceof HTMLTableCellElement ? cell : node("td", {}, cell))))))));
  const toggles = (title, names, on, change) => node("div", { class: "lab-row", role: "group", "aria-label": title }, ...names.map((name) =>
    button(name, () => change(on.includes(name) ? on.filter((one) => one !== name) : names.filter((one) => one === name || on.includes(one))),
      { class: "lab-toggle", "aria-pressed": on.includes(name) })));

  // Draws again without losing the reader's place: what had the focus has it, and what was opened is open.
  const kept = (root, draw) => (...given) => {
    const key = (one) => [one.tagName, one.name, one.tagName === "BUTTON" ? one.textContent : "", one.getAttribute("aria-label"), one.dataset.finding].join();
    const all = (name) => [...root.querySelectorAll(name)], focused = root.contains(document.activeElement) ? document.activeElement : null;
    const alike = focused ? all(focused.tagName).filter((one) => key(one) === key(focused)).indexOf(focused) : 0;
    const open = all("details[open]").map((one) => one.className);
    draw(...given);
    all("details[class]").filter((one) => open.includes(one.className)).forEach((one) => { one.open = true; });
    if (!focused || root.contains(focused)) return;
    const found = all(focused.tagName).filter((one) => key(one) === key(focused)), seen = (name) => all(name).find((one) => one.getClientRects().length);
    (found[alike] ?? found.at(-1) ?? seen("[data-next]") ?? seen("button"))?.focus();
  };

  // The reader's choices in the page's address, so that it can be sent on; what it does not know is left out.
  // Another address in the same tab is another page.
  addEventListener("hashchange", () => location.hash.includes("=") && location.reload());
  const address = {
    read: (known) => Object.fromEntries([...new URLSearchParams(location.hash.slice(1))].filter(([name, value]) => known[name]?.(value))),
    write: (values) => history.replaceState(null, "", `#${new URLSearchParams(values)}`),
  };

  // What this browser keeps of a page. It may forbid that, from disk above all: then nothing is kept.
  const memory = {
    read: (name) => { try { return JSON.parse(localStorage.getItem(`chexreason.${name}`)) ?? {}; } catch { return {}; } },
    write: (name, held) => { try { localStorage.setItem(`chexreason.${name}`, JSON.stringify(held)); } catch { /* not here */ } },
  };

  // An X-ray with the outlines of what was drawn; a chip lights them up.
  const xray = (image, outlines, alt, lines = true) => node("figure", { class: "lab-xray" },
    node("img", { src: `data:image/webp;base64,${image}`, alt, width: LAB.words.side, height: LAB.words.side }),
    node("svg", { viewBox: `0 0 ${LAB.words.grid} ${LAB.words.grid}`, "aria-hidden": "true", class: lines ? "" : "lab-off" },
      ...Object.entries(outlines).map(([name, path]) => node("path", { d: path, "data-finding": name, class: "lab-line" }))));
  const chip = (name, kind, title) => {
    const light = (on) => (event) => event.target.closest(".lab-seen")?.querySelectorAll(".lab-line").forEach((line) =>
      line.classList.toggle("lab-bright", on && line.dataset.finding === name.replace("?", "")));
    const lit = { onmouseenter: light(true), onmouseleave: light(false), onfocus: light(true), onblur: light(false) };
    const drawn = ["drawn", "right", "missed"].includes(kind); // only these have an outline
    return node("span", { class: `lab-chip lab-${kind}`, "data-finding": name, "data-kind": kind, title, ...(drawn ? { tabindex: "0", ...lit } : {}) }, name);
  };
  const chips = (names, drawn, word) => names.map((name) =>
    (drawn.includes(name) ? chip(name, "right", `${word}, and drawn`) : chip(name, "wrong", `${word}, and not drawn`)));
  // An answer with the words that name a finding marked, and its labels as chips.
  const answer = (said, drawn) => {
    const pieces = [];
    let from = 0;
    for (const [start, end, findings, denied] of said.mentions) {
      const there = findings.some((name) => drawn.includes(name)), kind = denied ? (there ? "missed" : "denied") : there ? "right" : "wrong";
      const title = `${findings.join(", ")}: ${there ? "drawn" : "not drawn"}`;
      pieces.push(said.text.slice(from, start), node("mark", { class: `lab-${kind}`, title }, said.text.slice(start, end)));
      from = end;
    }
    const failed = () => [node("em", {}, `no label can be read: ${said.failures.join(", ").replaceAll("_", " ")}`)];
    return [node("p", { class: "lab-text" }, ...pieces, said.text.slice(from)),
      node("div", { class: "lab-row" }, ...(said.failed ? failed() : chips(said.labels, drawn, "named")))];
  };

  // Micro-F1 and macro-F1, both over the findings that occur in the truths, of answers (lists) against truths (lists).
  const scored = (answers, truths) => {
    const each = LAB.words.findings.map((name) => {
      const kinds = [0, 0, 0];
      truths.forEach((truth, k) => {
        const there = truth.includes(name), said = answers[k].includes(name);
        if (there || said) kinds[there && said ? 0 : said ? 1 : 2]++;
      });
      return kinds;
    });
    const there = each.filter(([hits, , missed]) => hits + missed > 0), sums = [0, 1, 2].map((kind) => LAB.sum(there.map((one) => one[kind])));
    return { micro: LAB.f1(...sums), macro: LAB.sum(there.map((one) => LAB.f1(...one))) / there.length, n: truths.length, findings: there.length };
  };
  Object.assign(LAB, { parts: { node, button, field, options, table, toggles, kept, address, memory, xray, chip, chips, answer }, scored });
})();
