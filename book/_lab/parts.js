// Pieces of pages that all of the laboratory uses.
"use strict";
(() => {
  const W = LAB.words, home = document.currentScript.src.replace(/[^/]*$/, "");
  const by = (names, of) => Object.fromEntries(names.map((name, k) => [name, of(name, k)]));
  // Digits as Python writes them: a value just between two goes to the even one. Only sixteenths, for three digits, do.
  const fixed = (value, digits = 3) => {
    const between = Math.abs(value * 2 ** (digits + 1)) % 2 === 1, scale = 10 ** digits;
    const even = between ? (2 * Math.round((value * scale) / 2)) / scale : value;
    return even.toFixed(digits).replace("-", "−");
  };
  const show = (value) => fixed(value, Math.abs(value) >= 10 ? 1 : 3);
  // The largest constant that a reward may be given.
  const MOST = 10_000;
  // A reward's constants as the code has them.
  const stated = (reward) => by(Object.keys(W.rewards[reward]), (key) => W.rewards[reward][key].value);

  // An element; `on...` is a listener, and a list of children counts as its members.
  const node = (name, about = {}, ...children) => {
    const space = ["svg", "path"].includes(name) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
    const made = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(about)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (typeof value === "boolean" && !key.startsWith("aria-")) made.toggleAttribute(key, value);
      else made.setAttribute(key, value);
    }
    made.append(...children.flat());
    return made;
  };
  const button = (text, onclick, about = {}) => node("button", { type: "button", onclick, ...about }, text);
  const options = (entries, chosen) => Object.entries(entries).map(([value, text]) =>
    node("option", { value, selected: value === String(chosen) }, text));
  // A labelled choice; `change` is called with the value.
  const field = (title, name, entries, change, chosen) => node("label", {}, `${title} `,
    node("select", { name, onchange: (event) => change(event.target.value) }, options(entries, chosen)));
  // A number from 0 on; `change` is called with its box, and gives what the box then has.
  const number = (name, value, change, about = {}) => node("input", {
    type: "number", name, min: 0, max: MOST, required: true, value, onchange: ({ target }) => { target.value = change(target); }, ...about });
  const positive = (text) => text !== "" && Number(text) >= 0 && Number(text) <= MOST;
  // A table that scrolls by itself; cells of the first column are heads of their rows.
  const table = (title, heads, rows, wide = false) => {
    const cells = (row) => row.map((cell) => (cell instanceof HTMLTableCellElement ? cell : node("td", {}, cell)));
    const body = rows.map(([first, ...rest]) => node("tr", {}, node("th", { scope: "row" }, first), cells(rest)));
    const head = node("tr", {}, heads.map((title) => node("th", { scope: "col" }, title)));
    return node("div", { class: "cxr-scroll", role: "region", tabindex: "0", "aria-label": title },
      node("table", { class: wide ? "cxr-wide" : "" }, node("thead", {}, head), node("tbody", {}, body)));
  };
  // Names to choose among, of which one at least stays.
  const toggles = (title, names, on, change) => {
    const turned = (name) => names.filter((one) => on.includes(one) !== (one === name));
    return node("div", { class: "lab-row", role: "group", "aria-label": title }, names.map((name) => {
      const last = !turned(name).length;
      return button(name, () => last || change(turned(name)), { class: "lab-toggle", "aria-pressed": on.includes(name),
        ...(last ? { "aria-disabled": true, title: "one at least stays" } : {}) });
    }));
  };

  // Starts each place that is this part of a page, once; its table is folded, and stays for whoever wants it.
  const takeOver = (part, start) => document.querySelectorAll(`.lab-${part}:not([data-ready])`).forEach((root) => {
    root.dataset.ready = "yes";
    start(root);
    root.querySelector(":scope > details")?.removeAttribute("open");
  });
  // What another script of this folder gives, which is loaded when it is first asked for.
  const loaded = (name) => LAB[name] ?? new Promise((done, fail) => document.head.append(node("script", {
    src: `${home}${name}.js`, onload: () => done(LAB[name]),
    onerror: () => fail(new Error(`${name}.js is not in this book.`)) })));

  // Draws again without losing the reader's place: what had the focus has it, and what was opened is open.
  const kept = (root, draw) => () => {
    const all = (name) => [...root.querySelectorAll(name)], focused = document.activeElement;
    const key = (one) =>
      [one.name, one.type === "button" && one.textContent, one.getAttribute("aria-label"), one.dataset.finding].join();
    const like = () => all(focused.tagName).filter((one) => key(one) === key(focused));
    const had = root.contains(focused), place = like().indexOf(focused);
    const open = all("details[open]").map((one) => one.className);
    draw();
    all("details[class]").filter((one) => open.includes(one.className)).forEach((one) => { one.open = true; });
    if (!had || root.contains(focused)) return;
    const seen = (name) => all(name).find((one) => one.getClientRects().length);
    (like()[place] ?? like().at(-1) ?? seen("[data-next]") ?? seen("button"))?.focus();
  };

  // The reader's choices in the page's address, so that it can be sent on; what it does not know is left out.
  // Another address in the same tab is another page.
  addEventListener("hashchange", () => location.hash.includes("=") && location.reload());
  const address = {
    get: (name) => new URLSearchParams(location.hash.slice(1)).get(name),
    one: (name, known, usual) => (known.includes(address.get(name)) ? address.get(name) : usual),
    some: (name, known, usual) => {
      const found = known.filter((one) => address.get(name)?.split(",").includes(one));
      return found.length ? found : usual;
    },
    write: (values) => history.replaceState(null, "", `#${new URLSearchParams(values)}`),
  };

  // Changes a page's choices, draws it anew, and writes in its address what `told` gives.
  const setter = (root, state, draw, told) => {
    const redraw = kept(root, draw);
    return (change) => {
      Object.assign(state, change);
      redraw();
      address.write(told());
    };
  };

  // What this browser keeps of a page. It may forbid that, from disk above all: then nothing is kept.
  const tried = (what) => { try { return what(); } catch { return null; } };
  const memory = {
    read: (name) => tried(() => JSON.parse(localStorage.getItem(`chexreason.${name}`))) ?? {},
    write: (name, held) => tried(() => localStorage.setItem(`chexreason.${name}`, JSON.stringify(held))),
  };

  // An X-ray with the outlines of what was drawn, which may be hidden; a chip lights them up.
  const xray = (image, outlines, drawn, lines = true) => node("figure", { class: "lab-xray" },
    node("img", { src: `data:image/webp;base64,${image}`, width: W.side, height: W.side,
      alt: lines ? `X-ray drawn with ${drawn.join(", ") || "nothing"}` : "X-ray" }),
    node("svg", { viewBox: `0 0 ${W.grid} ${W.grid}`, "aria-hidden": true, class: lines ? "" : "lab-off" },
      Object.entries(outlines).map(([name, d]) => node("path", { d, "data-finding": name, class: "lab-line" }))));
  const chip = (name, kind, title, { text = name, outlined = false } = {}) => {
    const light = (on) => (event) => event.target.closest(".lab-seen")?.querySelectorAll(".lab-line").forEach((line) =>
      line.classList.toggle("lab-bright", on && line.dataset.finding === name));
    const mouse = { onmouseenter: light(true), onmouseleave: light(false) };
    const keys = { tabindex: 0, onfocus: light(true), onblur: light(false) };
    const there = ["drawn", "right", "missed"].includes(kind) && name !== W.findings[0];
    const about = { class: `lab-chip lab-${kind}`, "data-finding": name, "data-kind": kind, title };
    return node("span", { ...about, ...(there || outlined ? { ...mouse, ...keys } : {}) }, text);
  };
  const chips = (names, drawn, word) => names.map((name) =>
    (drawn.includes(name) ? chip(name, "right", `${word}, and drawn`) : chip(name, "wrong", `${word}, and not drawn`)));
  const row = (title, chips, about = {}) =>
    node("div", { class: "lab-row", ...about }, title && node("strong", {}, `${title} `), chips);
  const drawnRow = (drawn) => row("Drawn", drawn.map((name) => chip(name, "drawn", "drawn on the image")));
  // What a model said: its answer with the words that name a finding marked, and its labels as chips.
  const answer = (title, said, drawn, about = {}) => {
    const section = (...inner) => node("section", { class: "lab-model", ...about }, node("h2", {}, title), inner);
    if (!said) return section(node("p", {}, "Its answers are not kept."));
    const pieces = [];
    let from = 0;
    for (const [start, end, findings, denied] of said.mentions) {
      const there = findings.filter((name) => drawn.includes(name));
      const kind = there.length ? (denied ? "missed" : "right") : denied ? "denied" : "wrong";
      const title = there.length ? `${there.join(", ")}: drawn` : `${findings.join(", ")}: not drawn`;
      const mark = node("mark", { class: `lab-${kind}`, title }, said.text.slice(start, end));
      pieces.push(said.text.slice(from, start), mark);
      from = end;
    }
    const failed = `no label can be read: ${said.failures.join(", ").replaceAll("_", " ")}`;
    return section(node("p", { class: "lab-text" }, pieces, said.text.slice(from)),
      row("", said.failed ? node("em", {}, failed) : chips(said.labels, drawn, "named")));
  };

  // Micro-F1 and macro-F1, both over the findings that occur in the truths, of answers (lists) against truths (lists).
  LAB.scored = (answers, truths) => {
    const count = (name, said, there) =>
      truths.filter((truth, k) => answers[k].includes(name) === said && truth.includes(name) === there).length;
    const each = W.findings.filter((name) => truths.some((truth) => truth.includes(name)))
      .map((name) => [count(name, true, true), count(name, true, false), count(name, false, true)]);
    const sums = [0, 1, 2].map((kind) => LAB.sum(each.map((counts) => counts[kind])));
    return { micro: LAB.f1(...sums), macro: LAB.mean(each.map((counts) => LAB.f1(...counts))) };
  };
  LAB.parts = { by, fixed, show, stated, node, button, options, field, number, positive, table, toggles, takeOver,
    loaded, kept, setter, address, memory, xray, chip, chips, row, drawnRow, answer };
})();
