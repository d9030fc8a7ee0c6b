// The X-rays: one patient at three hospitals, what was drawn, what each hospital records, what each model says.
// The rules of the filters are those of companion/lab/xrays.py (`matches`); without this script the table below is whole.
"use strict";
(() => {
  const X = LAB.xrays, { node, button, field, options, table, kept, address, xray, chip, chips, answer } = LAB.parts;
  const [NORMAL, ...ABNORMAL] = LAB.words.findings;
  const listed = (names) => names.join(", ") || "nothing", models = Object.entries(X.models);
  const argued = (one) => new Set(one.mentions.filter(([, , , denied]) => !denied).flatMap(([, , findings]) => findings).filter((name) => name !== NORMAL));
  const same = (one, other) => one.size === other.size && [...one].every((name) => other.has(name));
  const without = (names) => new Set(names.filter((name) => name !== NORMAL));
  const stated = (labels, state) => Object.keys(labels).filter((name) => labels[name] === state);

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
    const shown = () => X.patients.filter((patient) => LAB.matches(state.filter, patient, state.at));
    const ten = X.ten.map((index) => X.patients.find((patient) => patient.index === index));
    const given = address.read({
      at: (value) => X.hospitals.includes(value), filter: (value) => Object.hasOwn(X.filters, value),
      patient: (value) => X.patients.some((one) => String(one.index) === value),
    });
    Object.assign(state, { at: given.at ?? state.at, filter: given.filter ?? state.filter });
    state.place = Math.max(0, shown().findIndex((one) => String(one.index) === given.patient));

    const stage = node("div", { class: "lab-stage lab-seen" }), count = node("output", { "aria-live": "polite" });
    const redraw = kept(root, draw);
    const set = (change) => {
      Object.assign(state, change);
      redraw();
      address.write({ at: state.at, filter: state.filter, patient: shown()[state.place]?.index ?? "" });
    };
    const choice = (title, name, entries) => field(title, name, entries, (value) => {
      const before = shown()[state.place]; // the same patient, where the filter still has them
      state[name] = value;
      set({ place: Math.max(0, shown().indexOf(before)) });
    });
    const turn = (by) => {
      const n = shown().length;
      if (n && !state.reading) set({ place: (state.place + by + n) % n });
    };
    const lines = node("input", { type: "checkbox", name: "lines", checked: true, onchange: (event) => set({ lines: event.target.checked }) });
    const browsing = [choice("Show", "filter", X.filters), button("← previous", () => turn(-1)), button("next →", () => turn(1), { "data-next": true }), count, node("label", {}, lines, " outlines")];
    const look = () => stage.querySelector(".lab-result, .lab-xray").scrollIntoView({ block: "nearest" });
    const read = button("", () => set({ reading: state.reading ? null : { k: 0, said: [], ticked: [] } }), { name: "read" });
    const bar = node("div", { class: "lab-bar", role: "group", "aria-label": "Which X-ray" },
      choice("Hospital", "at", Object.fromEntries(X.hospitals.map((name) => [name, `${name}: ${X.about[name]}`]))), ...browsing, read);
    document.addEventListener("keydown", (event) => {
      if (!root.contains(event.target) && event.target !== document.body) return;
      if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === "ArrowLeft") turn(-1);
      else if (event.key === "ArrowRight") turn(1);
    });
    root.prepend(bar, stage);
    root.querySelector("details")?.removeAttribute("open");
    draw();

    function draw() {
      const found = shown(), counts = (name) => X.patients.filter((patient) => LAB.matches(name, patient, state.at)).length;
      bar.querySelector("[name=filter]").replaceChildren(...options(Object.fromEntries(Object.entries(X.filters).map(([name, title]) => [name, `${title} (${counts(name)})`]))));
      bar.querySelectorAll("select").forEach((one) => { one.value = state[one.name]; });
      browsing.forEach((one) => { one.hidden = Boolean(state.reading); });
      count.textContent = `${found.length ? state.place + 1 : 0} of ${found.length}`;
      root.dataset.shown = found.length;
      read.textContent = state.reading ? "stop reading" : "read ten yourself";
      if (state.reading) stage.replaceChildren(...reading(state.reading));
      else if (found.length) stage.replaceChildren(picture(found[state.place], state.lines), told(found[state.place]));
      else stage.replaceChildren(node("p", {}, "No X-ray of this hospital is like that."));
    }

    function picture(patient, lines) {
      return xray(patient.images[state.at], patient.outlines[state.at], lines ? `X-ray drawn with ${listed(patient.drawn)}` : "X-ray", lines);
    }

    function told(patient) {
      const row = (title, chips, about = {}) => node("div", { class: "lab-row", ...about }, node("strong", {}, `${title} `), ...chips);
      const drawn = patient.drawn.map((name) => chip(name, "drawn", "drawn on the image"));
      const recorded = X.hospitals.map((at) => row(`${at} records`, records(patient, patient.recorded[at]), { "data-hospital": at }));
      const said = models.map(([model, title]) =>
        node("section", { class: "lab-model", "data-model": model }, node("h2", {}, title), ...answer(patient.said[model][state.at], patient.drawn)));
      return node("div", { class: "lab-told" }, row("Drawn", drawn), ...recorded, ...said);
    }

    function records(patient, labels) {
      const yes = stated(labels, "yes"), perhaps = stated(labels, "perhaps");
      const missed = patient.drawn.filter((name) => !yes.includes(name) && !perhaps.includes(name));
      return [...chips(yes, patient.drawn, "recorded"), ...perhaps.map((name) => chip(`${name}?`, "perhaps", "recorded as uncertain")),
        ...missed.map((name) => chip(name, "missed", "drawn, and not recorded"))];
    }

    function reading(now) {
      if (now.k >= ten.length) return result(now);
      const tick = (event) => { now.ticked = event.target.checked ? [...now.ticked, event.target.value] : now.ticked.filter((name) => name !== event.target.value); };
      const boxes = ABNORMAL.map((name) => node("label", { class: "lab-box" },
        node("input", { type: "checkbox", value: name, checked: now.ticked.includes(name), onchange: tick }), ` ${name}`));
      const next = () => {
        const bare = now.ticked.every((name) => name === LAB.words.devices);
        set({ reading: { k: now.k + 1, said: [...now.said, bare ? [NORMAL, ...now.ticked] : now.ticked], ticked: [] } });
        look();
      };
      return [picture(ten[now.k], false), node("div", { class: "lab-told" },
        node("p", {}, `X-ray ${now.k + 1} of ${ten.length}. Tick what you see; nothing ticked means No Finding.`), node("div", { class: "lab-boxes" }, ...boxes),
        button(now.k + 1 < ten.length ? "next X-ray" : "show my score", next, { class: "lab-next", "data-next": true }))];
    }

    function result(now) {
      const truths = { "what was drawn": ten.map((patient) => patient.drawn),
        ...Object.fromEntries(X.hospitals.map((at) => [`what ${at} records`, ten.map((patient) => stated(patient.recorded[at], "yes"))])) };
      const readers = { you: now.said, ...Object.fromEntries(models.map(([model, title]) => [title, ten.map((patient) => patient.said[model][state.at].labels)])) };
      const rows = Object.entries(readers).map(([who, answers]) => [who, ...Object.values(truths).map((truth) => {
        const score = LAB.scored(answers, truth);
        return node("td", { "data-micro": score.micro, "data-macro": score.macro }, `${score.micro.toFixed(2)} / ${score.macro.toFixed(2)}`);
      })]);
      return [node("div", { class: "lab-told lab-result", tabindex: "-1", "data-next": true },
        node("p", {}, "Micro-F1 / macro-F1 of ten X-rays, over the findings that occur in what a reader is held against. Ten are a game and no test: another ten might order the readers otherwise."),
        table("Your score", ["reader", ...Object.keys(truths)], rows))];
    }
  }
})();
