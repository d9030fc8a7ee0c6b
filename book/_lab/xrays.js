// The X-rays: one patient at three hospitals, what was drawn, what each hospital records, what each model says.
// The filters' rules are those of companion/lab/xrays.py (`matches`); without this script the table below is whole.
"use strict";
(() => {
  const X = LAB.xrays, { by, node, button, field, options, table, takeOver, setter, address } = LAB.parts;
  const { xray, chip, chips, row, drawnRow, answer } = LAB.parts, models = Object.keys(X.models);
  const [NORMAL, ...ABNORMAL] = LAB.words.findings;
  const without = (names) => new Set(names.filter((name) => name !== NORMAL));
  const argued = (one) => without(one.mentions.flatMap(([, , findings, denied]) => (denied ? [] : findings)));
  const same = (one, other) => one.size === other.size && [...one].every((name) => other.has(name));
  const stated = (labels, state) => Object.keys(labels).filter((name) => labels[name] === state);

  LAB.matches = (name, patient, at) => {
    const { drawn, said: { sft, hard } } = patient, said = Object.values(patient.said).map((one) => one[at]);
    if (name === "failed") return said.some((one) => one.failed);
    if (name === "changed") return !same(new Set(sft[at].labels), new Set(hard[at].labels));
    if (name === "invented") return said.some(({ labels }) => [...without(labels)].some((one) => !drawn.includes(one)));
    if (name === "differs") return said.some((one) => !one.failed && !same(argued(one), without(one.labels)));
    return true;
  };

  takeOver("xrays", (root) => {
    const state = {
      at: address.one("at", X.hospitals, X.hospitals[0]), filter: address.one("filter", Object.keys(X.filters), "all"),
      lines: true, reading: null };
    const shown = () => X.patients.filter((patient) => LAB.matches(state.filter, patient, state.at));
    const ten = X.ten.map((index) => X.patients.find((patient) => patient.index === index));
    state.place = Math.max(0, shown().findIndex((one) => String(one.index) === address.get("patient")));

    const stage = node("div", { class: "lab-stage lab-seen" }), count = node("output", { "aria-live": "polite" });
    const set = setter(root, state, draw, () =>
      ({ at: state.at, filter: state.filter, patient: shown()[state.place]?.index ?? "" }));
    const choice = (title, name, entries) => field(title, name, entries, (value) => {
      const before = shown()[state.place];
      state[name] = value;
      // The same patient at another hospital, whom the filter need not have there.
      if (name === "at" && before && !shown().includes(before)) state.filter = "all";
      set({ place: Math.max(0, shown().indexOf(before)) });
    });
    const turn = (by) => {
      const n = shown().length;
      if (n && !state.reading) set({ place: (state.place + by + n) % n });
    };
    const lines = node("input", { type: "checkbox", name: "lines", checked: true,
      onchange: (event) => set({ lines: event.target.checked }) });
    const place = choice("Hospital", "at", by(X.hospitals, (name) => `${name}: ${X.about[name]}`));
    const browsing = [place, choice("Show", "filter", X.filters), button("← previous", () => turn(-1)),
      button("next →", () => turn(1), { "data-next": true }), count, node("label", {}, lines, " outlines")];
    const begin = () => set({ reading: state.reading ? null : { k: 0, said: [], ticked: [] } });
    const read = button("", begin, { name: "read" });
    const bar = node("div", { class: "lab-bar", role: "group", "aria-label": "Which X-ray" },
      browsing, read);
    document.addEventListener("keydown", ({ key, target, altKey, ctrlKey, metaKey }) => {
      if (!root.contains(target) && target !== document.body) return;
      if (altKey || ctrlKey || metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return;
      if (key === "ArrowLeft") turn(-1);
      else if (key === "ArrowRight") turn(1);
    });
    root.prepend(bar, stage);
    draw();

    function draw() {
      const found = shown(), counted = (name) => X.patients.filter((one) => LAB.matches(name, one, state.at)).length;
      const titles = by(Object.keys(X.filters), (name) => `${X.filters[name]} (${counted(name)})`);
      bar.querySelector("[name=filter]").replaceChildren(...options(titles));
      bar.querySelectorAll("select").forEach((one) => { one.value = state[one.name]; });
      browsing.forEach((one) => { one.hidden = Boolean(state.reading); });
      const who = found.length ? `, patient ${found[state.place].index}` : "";
      count.textContent = `${found.length ? state.place + 1 : 0} of ${found.length}${who}`;
      root.dataset.shown = found.length;
      const over = state.reading?.k >= ten.length;
      read.textContent = over ? "back to all X-rays" : state.reading ? "stop reading" : "read ten yourself";
      if (state.reading) stage.replaceChildren(...reading(state.reading));
      else if (found.length) stage.replaceChildren(picture(found[state.place], state.lines), told(found[state.place]));
      else stage.replaceChildren(node("p", {}, "No X-ray of this hospital is like that."));
    }

    function picture(patient, lines) {
      return xray(patient.images[state.at], patient.outlines[state.at], patient.drawn, lines);
    }

    function told({ drawn, recorded, said }) {
      return node("div", { class: "lab-told" }, drawnRow(drawn),
        X.hospitals.map((at) => row(`${at} records`, records(drawn, recorded[at]), { "data-hospital": at })),
        models.map((model) => answer(X.models[model], said[model][state.at], drawn, { "data-model": model })));
    }

    function records(drawn, labels) {
      const yes = stated(labels, "yes"), perhaps = stated(labels, "perhaps");
      const missed = drawn.filter((name) => !yes.includes(name) && !perhaps.includes(name));
      return [...chips(yes, drawn, "recorded"),
        ...perhaps.map((name) =>
          chip(name, "perhaps", "recorded as uncertain", { text: `${name}?`, outlined: drawn.includes(name) })),
        ...missed.map((name) => chip(name, "missed", "drawn, and not recorded"))];
    }

    function reading(now) {
      if (now.k >= ten.length) return result(now);
      const tick = ({ target: { checked, value } }) => {
        now.ticked = checked ? [...now.ticked, value] : now.ticked.filter((name) => name !== value);
      };
      const boxes = ABNORMAL.map((value) => node("label", { class: "lab-box" },
        node("input", { type: "checkbox", value, checked: now.ticked.includes(value), onchange: tick }), ` ${value}`));
      const next = () => {
        const normal = now.ticked.every((name) => name === LAB.words.devices) ? [NORMAL] : [];
        set({ reading: { k: now.k + 1, said: [...now.said, [...normal, ...now.ticked]], ticked: [] } });
        stage.querySelector(".lab-result, .lab-xray").scrollIntoView({ block: "nearest" });
      };
      return [picture(ten[now.k], false), node("div", { class: "lab-told" },
        node("p", {}, `X-ray ${now.k + 1} of ${ten.length}, as hospital ${state.at} takes it. Tick what you see. `
          + "Nothing ticked means No Finding, and so do Support Devices alone."),
        node("div", { class: "lab-boxes" }, boxes),
        button(now.k + 1 < ten.length ? "next X-ray" : "show my score", next,
          { class: "lab-next", "data-next": true }))];
    }

    function result(now) {
      const truths = { "what was drawn": ten.map((patient) => patient.drawn) }, readers = { you: now.said };
      for (const at of X.hospitals) truths[`what ${at} records`] = ten.map((one) => stated(one.recorded[at], "yes"));
      for (const model of models) readers[X.models[model]] = ten.map(({ said }) => said[model][state.at].labels);
      const rows = Object.entries(readers).map(([who, answers]) => [who, ...Object.values(truths).map((truth) => {
        const { micro, macro } = LAB.scored(answers, truth);
        return node("td", { "data-micro": micro, "data-macro": macro }, `${micro.toFixed(2)} / ${macro.toFixed(2)}`);
      })]);
      const about = `Micro-F1 / macro-F1 of ten X-rays of hospital ${state.at}, over the findings that occur in what a reader `
        + "is held against; what is recorded as uncertain counts as not recorded. Ten are a game and no test: another ten might order the readers otherwise.";
      return [node("div", { class: "lab-told lab-result", tabindex: -1, "data-next": true }, node("p", {}, about),
        table("Your score", ["reader", ...Object.keys(truths)], rows))];
    }
  });
})();
