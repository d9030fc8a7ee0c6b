// The X-rays: one patient at three hospitals, what was drawn, what each hospital records, what each model says.
// The rules of the filters are those of companion/lab/xrays.py (`matches`); without this script the table below is whole.
"use strict";
(() => {
  const X = LAB.xrays, { node, field } = LAB.parts, NORMAL = LAB.words.findings[0], ABNORMAL = LAB.words.findings.slice(1);
  const listed = (names) => names.join(", ") || "nothing";
  const argued = (one) => new Set(one.mentions.filter(([, , , denied]) => !denied).map(([, , finding]) => finding).filter((name) => name !== NORMAL));
  const same = (one, other) => one.size === other.size && [...one].every((name) => other.has(name));
  const without = (names) => new Set(names.filter((name) => name !== NORMAL));

  LAB.matches = (name, patient, at) => {
    const said = Object.values(patient.said).map((one) => one[at]);
    if (name === "failed") return said.some((one) => one.failed);
    if (name === "changed") return !same(new Set(patient.said.sft[at].labels), new Set(patient.said.hard[at].labels));
    if (name === "invented") return said.some((one) => [...without(one.labels)].some((label) => !patient.drawn.includes(label)));
    if (name === "differs") return said.some((one) => !one.failed && !same(argued(one), without(one.labels)));
    return true;
  };

  for (const root of document.querySelectorAll(".lab-xrays:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const state = { at: X.hospitals[0], filter: "all", place: 0, lines: true, reading: null };
    const stage = node("div", { class: "lab-stage" }), count = node("output", { "aria-live": "polite" });
    const shown = () => X.patients.filter((patient) => LAB.matches(state.filter, patient, state.at));
    const set = (change) => { Object.assign(state, change); draw(); };
    const choice = (title, name, entries) => field(title, name, entries, (value) => {
      const before = shown()[state.place];  // the same patient, where the filter still has them
      state[name] = value;
      set({ place: Math.max(0, shown().indexOf(before)) });
    });
    const turn = (by) => { const n = shown().length; if (n) set({ place: (state.place + by + n) % n }); };
    const bar = node("div", { class: "lab-bar", role: "group", "aria-label": "Which X-ray" },
      choice("Hospital", "at", Object.fromEntries(X.hospitals.map((name) => [name, `${name}: ${X.about[name]}`]))), choice("Show", "filter", X.filters),
      node("button", { type: "button", onclick: () => turn(-1) }, "← previous"), node("button", { type: "button", onclick: () => turn(1) }, "next →"), count,
      node("label", {}, node("input", { type: "checkbox", name: "lines", checked: true, onchange: (event) => set({ lines: event.target.checked }) }), " outlines"),
      node("button", { type: "button", onclick: () => set({ reading: state.reading ? null : { k: 0, said: [] } }) }, "read ten yourself"));
    root.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === "ArrowLeft") turn(-1); else if (event.key === "ArrowRight") turn(1);
    });
    root.prepend(bar, stage);
    root.querySelector("details")?.removeAttribute("open");
    draw();

    function draw() {
      const found = shown();
      bar.querySelectorAll("select").forEach((field) => { field.value = state[field.name]; });
      count.textContent = `${found.length ? state.place + 1 : 0} of ${found.length}`;
      root.dataset.shown = found.length;
      bar.lastChild.textContent = state.reading ? "stop reading" : "read ten yourself";
      if (state.reading) stage.replaceChildren(...reading(state.reading));
      else if (found.length) stage.replaceChildren(picture(found[state.place], state.lines), told(found[state.place]));
      else stage.replaceChildren(node("p", {}, "No X-ray here is like that."));
    }

    function picture(patient, lines) {
      const paths = Object.entries(patient.outlines[state.at]).map(([name, path]) => node("path", { d: path, "data-finding": name, class: "lab-line" }));
      return node("figure", { class: "lab-xray" },
        node("img", { src: `data:image/webp;base64,${patient.images[state.at]}`, alt: lines ? `X-ray drawn with ${listed(patient.drawn)}` : "X-ray", width: X.side, height: X.side }),
        node("svg", { viewBox: `0 0 ${X.grid} ${X.grid}`, "aria-hidden": "true", class: lines ? "" : "lab-off" }, ...paths));
    }

    function chip(name, kind, title) {
      const light = (on) => () => stage.querySelectorAll(".lab-line").forEach((line) => line.classList.toggle("lab-bright", on && line.dataset.finding === name.replace("?", "")));
      return node("span", { class: `lab-chip lab-${kind}`, "data-finding": name, "data-kind": kind, title, tabindex: "0", onmouseenter: light(true), onmouseleave: light(false), onfocus: light(true), onblur: light(false) }, name);
    }

    function told(patient) {
      const drawn = patient.drawn.map((name) => chip(name, "drawn", "drawn on the image"));
      const recorded = X.hospitals.map((at) => node("div", { class: "lab-row", "data-hospital": at }, node("strong", {}, `${at} records `), ...records(patient, patient.recorded[at])));
      const models = Object.entries(X.models).map(([model, title]) => said(patient, model, title));
      return node("div", { class: "lab-told" }, node("div", { class: "lab-row" }, node("strong", {}, "Drawn "), ...drawn), ...recorded, ...models);
    }

    function records(patient, labels) {
      const yes = Object.keys(labels).filter((name) => labels[name] === "yes"), perhaps = Object.keys(labels).filter((name) => labels[name] === "perhaps");
      const missed = patient.drawn.filter((name) => !yes.includes(name) && !perhaps.includes(name));
      return [...yes.map((name) => (patient.drawn.includes(name) ? chip(name, "right", "recorded, and drawn") : chip(name, "wrong", "recorded, and not drawn"))),
        ...perhaps.map((name) => chip(`${name}?`, "perhaps", "recorded as uncertain")), ...missed.map((name) => chip(name, "missed", "drawn, and not recorded"))];
    }

    function said(patient, model, title) {
      const one = patient.said[model][state.at], pieces = [];
      let from = 0;
      for (const [start, end, finding, denied] of one.mentions) {
        const there = patient.drawn.includes(finding), kind = denied ? (there ? "missed" : "denied") : there ? "right" : "wrong";
        pieces.push(one.text.slice(from, start), node("mark", { class: `lab-${kind}`, title: `${finding}: ${there ? "drawn" : "not drawn"}` }, one.text.slice(start, end)));
        from = end;
      }
      const labels = one.labels.map((name) => (patient.drawn.includes(name) ? chip(name, "right", "named, and drawn") : chip(name, "wrong", "named, and not drawn")));
      const failed = one.failed ? [node("em", {}, `no label can be read: ${one.failures.join(", ").replaceAll("_", " ")}`)] : labels;
      return node("section", { class: "lab-model", "data-model": model }, node("h4", {}, title), node("p", { class: "lab-text" }, ...pieces, one.text.slice(from)), node("div", { class: "lab-row" }, ...failed));
    }

    function reading(now) {
      const ten = X.ten.map((index) => X.patients.find((patient) => patient.index === index));
      if (now.k >= ten.length) return result(now, ten);
      const boxes = ABNORMAL.map((name) => node("label", { class: "lab-box" }, node("input", { type: "checkbox", value: name }), ` ${name}`));
      const next = () => { const named = boxes.map((box) => box.firstChild).filter((box) => box.checked).map((box) => box.value); const bare = named.every((name) => name === LAB.words.devices); set({ reading: { k: now.k + 1, said: [...now.said, bare ? [NORMAL, ...named] : named] } }); };
      return [picture(ten[now.k], false), node("div", { class: "lab-told" }, node("p", {}, `X-ray ${now.k + 1} of ${ten.length}. Tick what you see; nothing ticked means No Finding.`),
        node("div", { class: "lab-boxes" }, ...boxes), node("button", { type: "button", class: "lab-next", onclick: next }, now.k + 1 < ten.length ? "next X-ray" : "show my score"))];
    }

    function result(now, ten) {
      const yes = (labels) => Object.keys(labels).filter((name) => labels[name] === "yes");
      const truths = { "what was drawn": ten.map((patient) => patient.drawn), ...Object.fromEntries(X.hospitals.map((at) => [`what ${at} records`, ten.map((patient) => yes(patient.recorded[at]))])) };
      const readers = { you: now.said, ...Object.fromEntries(Object.entries(X.models).map(([model, title]) => [title, ten.map((patient) => patient.said[model][state.at].labels)])) };
      const rows = Object.entries(readers).map(([who, answers]) => node("tr", {}, node("th", { scope: "row" }, who), ...Object.values(truths).map((truth) => {
        const score = LAB.scored(answers, truth);
        return node("td", { "data-micro": score.micro, "data-macro": score.macro }, `${score.micro.toFixed(2)} / ${score.macro.toFixed(2)}`);
      })));
      return [node("div", { class: "lab-told lab-result" }, node("p", {}, "Micro-F1 / macro-F1 of ten X-rays, over the findings that occur. Ten are a game and no test: another ten would order the readers otherwise."),
        node("div", { class: "cxr-scroll", role: "region", tabindex: "0", "aria-label": "Your score" }, node("table", {}, node("thead", {}, node("tr", {}, node("th", {}, "reader"), ...Object.keys(truths).map((name) => node("th", {}, name)))), node("tbody", {}, ...rows))))];
    }
  }
})();
