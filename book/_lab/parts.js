// Pieces of pages that all of the laboratory uses.
"use strict";
(() => {
  const node = (name, about = {}, ...children) => {
    const made = name === "svg" || name === "path" ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(about)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (typeof value === "boolean" && key.startsWith("aria-")) made.setAttribute(key, value);
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  };
  // A labelled choice; `change` is called with the value.
  const field = (title, name, entries, change) => node("label", {}, `${title} `, node("select", { name, onchange: (event) => change(event.target.value) }, ...Object.entries(entries).map(([value, text]) => node("option", { value }, text))));

  // Micro-F1 and macro-F1 over the findings that are there, of answers (lists) against truths (lists).
  const scored = (answers, truths) => {
    const each = LAB.words.findings.map((name) => {
      const kinds = [0, 0, 0];
      truths.forEach((truth, k) => { const there = truth.includes(name), said = answers[k].includes(name); if (there || said) kinds[there && said ? 0 : said ? 1 : 2]++; });
      return kinds;
    });
    const there = each.filter(([hits, , missed]) => hits + missed > 0), sums = [0, 1, 2].map((kind) => LAB.sum(each.map((one) => one[kind])));
    return { micro: LAB.f1(...sums), macro: LAB.sum(there.map((one) => LAB.f1(...one))) / there.length, n: truths.length, findings: there.length };
  };
  Object.assign(LAB, { parts: { node, field }, scored });
})();
