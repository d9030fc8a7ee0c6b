// Every table of the book: its rows can be sorted and linked to, and it can be copied as CSV or LaTeX. Without this script
// the tables are whole.
"use strict";
(() => {
  // A number as it is shown: a real minus, thousands with commas, a mark behind it; what is no number comes last.
  const number = (text) => {
    const found = text.replace("−", "-").replace(/(\d),(?=\d{3})/g, "$1").match(/^[-+]?(\d+\.?\d*|\.\d+)/);
    return found ? Number(found[0]) : NaN;
  };
  const csv = (rows) => rows.map((row) => row.map((text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(",")).join("\n");
  const latex = (rows, heads) => {
    const safe = (text) => text.replace(/\\/g, "\\textbackslash{}").replace(/[&%$#_{}]/g, "\\$&").replace(/~|\^/g, "\\$&{}").replace(/−/g, "$-$").replace(/\n/g, " ");
    const lines = rows.map((row) => `${row.map(safe).join(" & ")} \\\\`), [head, body] = [lines.slice(0, heads).join("\n"), lines.slice(heads)];
    return `\\begin{tabular}{l${"r".repeat(rows[0].length - 1)}}\n\\hline\n${head}\n\\hline\n${body.join("\n")}\n\\hline\n\\end{tabular}`;
  };
  // The cells in their places; one that spans several stands in the first of them.
  const all = (table) => {
    const held = [];
    [...table.rows].filter((row) => !row.matches(".gt_group_heading_row")).forEach((row, r) => {
      let c = 0;
      for (const cell of row.cells) {
        while (held[r]?.[c] !== undefined) c++;
        for (let i = 0; i < cell.rowSpan; i++) for (let j = 0; j < cell.colSpan; j++) (held[r + i] ??= [])[c + j] = i || j ? "" : cell.innerText.trim();
        c += cell.colSpan;
      }
    });
    return held;
  };

  const button = (text, title, act) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, title });
    made.addEventListener("click", act);
    return made;
  };
  // Where nothing may be copied, from disk in some browsers, a file is saved instead.
  const give = async (text, name, made) => {
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = "copied";
    } catch {
      Object.assign(document.createElement("a"), { download: name, href: `data:text/plain;charset=utf-8,${encodeURIComponent(text)}` }).click();
      made.textContent = "saved";
    }
    setTimeout(() => { made.textContent = made.dataset.name; }, 1500);
  };

  function sortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows].at(-1).cells;
    if (body.querySelector(".gt_group_heading_row, [rowspan]") || body.rows.length < 3) return;
    // Rows below a line, averages say, are no rows like the others.
    const rows = [...body.rows], ruled = rows.findIndex((row) => getComputedStyle(row.cells[0]).borderTopWidth === "2px");
    const asItWas = ruled > 0 ? rows.slice(0, ruled) : rows, foot = rows.slice(asItWas.length);
    [...heads].forEach((head, column) => {
      if (head.colSpan > 1 || !head.innerText.trim()) return;
      const text = head.innerText.trim();
      const act = () => {
        const next = { none: "descending", descending: "ascending", ascending: "none" }[head.getAttribute("aria-sort") ?? "none"];
        [...heads].forEach((other) => other.removeAttribute("aria-sort"));
        const value = (row) => row.cells[column]?.innerText.trim() ?? "", sign = next === "descending" ? -1 : 1;
        const order = (one, other) => {
          const [a, b] = [number(value(one)), number(value(other))];
          if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || sign * value(one).localeCompare(value(other));
          return sign * (a - b);
        };
        if (next !== "none") head.setAttribute("aria-sort", next);
        body.append(...(next === "none" ? asItWas : [...asItWas].sort(order)), ...foot);
      };
      const made = button("", `sort by ${text}`, act);
      made.className = "cxr-sort";
      made.append(...head.childNodes);
      head.append(made);
    });
  }

  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  function linked(table, place) {
    if (!place) return;
    let group = "";
    for (const row of table.tBodies[0].rows) {
      if (row.matches(".gt_group_heading_row")) { group = slug(row.innerText); continue; }
      const head = row.cells[0], id = [place, group, slug(head.innerText)].filter(Boolean).join("-");
      if (row.id || document.getElementById(id)) continue;
      row.id = id;
      head.append(Object.assign(document.createElement("a"), { className: "cxr-link", href: `#${id}`, ariaLabel: `link to ${head.innerText.trim()}` }));
    }
  }

  for (const scroll of document.querySelectorAll(".cxr > .cxr-scroll")) {
    const table = scroll.querySelector("table");
    if (!table?.tHead || !table.tBodies.length || table.closest(".lab, .cxr-ledger")) continue;
    const place = scroll.parentElement.id, name = place || slug(scroll.getAttribute("aria-label") ?? "table").slice(0, 40);
    const bar = Object.assign(document.createElement("div"), { className: "cxr-take" });
    for (const [kind, write] of [["CSV", csv], ["LaTeX", latex]]) {
      const made = button(kind, `copy as ${kind}`, () => give(write(all(table), table.tHead.rows.length), `${name}.${kind === "CSV" ? "csv" : "tex"}`, made));
      made.dataset.name = kind;
      bar.append(made);
    }
    scroll.after(bar);
    sortable(table);
    linked(table, place);
  }
  // What is folded is printed, too, and folded again after it.
  const folded = [...document.querySelectorAll(".bd-article details:not([open])")].filter((one) => !one.closest(".lab, .cxr-ledger"));
  addEventListener("beforeprint", () => folded.forEach((one) => { one.open = true; }));
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));
  if (location.hash.startsWith("#table-")) document.getElementById(location.hash.slice(1))?.scrollIntoView();
})();
