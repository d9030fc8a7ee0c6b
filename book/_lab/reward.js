// Try a reward: a real answer, how it is read, what each term pays, its group, and what the reward would select among all groups.
// Without this script the page's tables of constants and of answers are whole.
"use strict";
(() => {
  const G = LAB.reward, W = LAB.words;
  const { node, button, field, toggles, kept, address } = LAB.parts, show = (value) => (Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3));
  const FORMULA = {
    hard: { jaccard: "|named ∩ recorded| / |named ∪ recorded|", short: "− short_penalty if |t| < min_length" },
    nuanced: {
      match: "exact, if named = recorded", recall: "recall × share of the recorded labels that are named", precision: "precision × share of the named labels that are recorded",
      false_positive: "− false_positive × frequencies of the wrong labels / that of the commonest", repetition: "− repetition × named labels that dominate the window",
      collapse: "− collapse, if any named label dominates", malformed: "− malformed, if the blocks or the labels fail", unknown: "− invalid × unknown names", duplicate: "− duplicate × repeated names", outside: "− outside, if text stands outside the blocks",
    },
  };
  // As the groups were rewarded: the constants of the code, but for those that the experiment scales.
  const defaults = (name) => ({ ...Object.fromEntries(Object.entries(W.rewards[name]).map(([key, one]) => [key, one.value])), ...G.constants[name] });
  const parsed = new Map();
  const read = (text) => { if (!parsed.has(text)) parsed.set(text, LAB.parse(text)); return parsed.get(text); };
  // The terms of one answer; `recent` is equation 4's window, which the answer is added to.
  const terms = (name, constants, text, truth, recent) => (name === "hard" ? LAB.hard(read(text), truth, text, constants) : LAB.nuanced(read(text), truth, text, constants, recent, G.shares));
  // The rewards of answers in their order, each against its truth.
  LAB.pay = (name, constants, texts, truths) => { const recent = []; return texts.map((text, k) => LAB.total(terms(name, constants, text, truths[k], recent))); };
  const mean = (values) => LAB.sum(values) / values.length;

  LAB.groups = (name, constants) => {
    const paid = LAB.pay(name, constants, G.groups.flatMap((group) => group.said), G.groups.flatMap((group) => group.said.map(() => group.truth)));
    return G.groups.map((group, k) => { const rewards = paid.slice(4 * k, 4 * k + 4); return { ...group, rewards, advantages: LAB.advantages(rewards) }; });
  };
  // What a reward would select: the answer of each group that it pays most, scored against what is recorded.
  LAB.selected = (groups) => LAB.scored(groups.map((group) => read(group.said[group.rewards.indexOf(Math.max(...group.rewards))]).labels), groups.map((group) => group.truth));

  for (const root of document.querySelectorAll(".lab-reward:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const state = { name: "hard", constants: { hard: defaults("hard"), nuanced: defaults("nuanced") }, group: 0, text: "", truth: [] };
    const usual = {}, redraw = kept(root, draw); // reward -> its groups under the constants as they were
    const set = (change) => { Object.assign(state, change); redraw(); link(); };
    const box = node("textarea", { rows: 7, "aria-label": "The answer", spellcheck: "false", oninput: () => set({ text: box.value }) });
    const panels = Object.fromEntries(["read", "paid", "group", "all"].map((name) => [name, node("div", { class: `lab-${name}` })])), inputs = node("div", { class: "lab-boxes" });
    const menu = field("Group", "group", Object.fromEntries(G.groups.map((group, k) => [k, `${k + 1}, step ${group.step}: ${group.truth.join(", ")}`])), (value) => { load(Number(value), 0); link(); });
    const kind = field("Reward", "name", { hard: "equation 3 (hard)", nuanced: "equation 4 (nuanced)" }, (value) => { state.name = value; constants(); set({}); });
    const reset = button("the constants as they were", () => { state.constants[state.name] = defaults(state.name); constants(); set({}); });
    const chips = node("div");
    root.prepend(node("div", { class: "lab-bar" }, kind, menu, reset), inputs, node("div", { class: "lab-two" }, node("div", {}, box, node("h2", {}, "Recorded"), chips, panels.read), panels.paid), panels.group, panels.all);
    root.querySelector(":scope > details")?.removeAttribute("open");
    const positive = (value) => value !== "" && Number.isFinite(Number(value)) && Number(value) >= 0;
    const given = address.read({ name: (value) => Object.hasOwn(W.rewards, value), group: (value) => Object.hasOwn(G.groups, value) && value !== "length", text: () => true, truth: Boolean,
      ...Object.fromEntries(Object.values(state.constants).flatMap(Object.keys).map((key) => [key, positive])) });
    state.name = given.name ?? state.name;
    for (const key of Object.keys(state.constants[state.name])) if (key in given) state.constants[state.name][key] = Number(given[key]);
    kind.lastChild.value = state.name;
    constants();
    load(Number(given.group ?? 0), 0);
    const recorded = W.findings.filter((name) => (given.truth ?? "").split(",").includes(name));
    if ("text" in given) box.value = state.text = given.text;
    if (recorded.length) state.truth = recorded;
    if ("text" in given || recorded.length) draw();

    function load(group, k) {
      Object.assign(state, { group, text: G.groups[group].said[k], truth: [...G.groups[group].truth] });
      box.value = state.text;
      menu.lastChild.value = group;
      redraw();
    }

    // What differs from the page as it opens: the reward, its constants, the group, a text and labels of one's own.
    function link() {
      const { name, group, text, truth } = state, held = defaults(name), values = state.constants[name];
      const changed = Object.fromEntries(Object.entries(values).filter(([key, value]) => value !== held[key]));
      const own = G.groups[group].said[0] === text ? {} : { text }, labels = G.groups[group].truth.join() === truth.join() ? {} : { truth: truth.join() };
      address.write({ name, group, ...changed, ...own, ...labels });
    }

    function constants() {
      inputs.replaceChildren(...Object.entries(W.rewards[state.name]).map(([key, about]) => node("label", { class: "lab-box", title: `${about.what}. ${about.origin}${about.why ? `: ${about.why}` : ""}` },
        `${key} `, node("input", { type: "number", name: key, min: 0, step: "any", value: state.constants[state.name][key], onchange: (event) => { event.target.value = state.constants[state.name][key]; }, oninput: (event) => {
          if (!positive(event.target.value)) return;
          state.constants[state.name][key] = Number(event.target.value);
          set({});
        } }), node("small", {}, key in G.constants[state.name] ? " scaled" : ` ${about.origin}`))));
    }

    function draw() {
      const values = state.constants[state.name], all = LAB.groups(state.name, values), said = read(state.text);
      chips.replaceChildren(toggles("Recorded labels", W.findings, state.truth, (truth) => truth.length && set({ truth })));
      panels.read.replaceChildren(node("p", {}, `|t| = ${LAB.length(state.text)} characters. ${said.valid ? "The blocks are valid." : "The blocks are not valid."} `, node("strong", {}, said.failed ? "No label can be read." : `Read: ${said.labels.join(", ")}.`),
        said.unknown.length ? ` Unknown: ${said.unknown.join(", ")}.` : "", said.failures.length ? ` Faults: ${said.failures.join(", ").replaceAll("_", " ")}.` : ""));
      const paid = terms(state.name, values, state.text, state.truth, []), most = Math.max(1e-9, ...Object.values(paid).map(Math.abs));
      panels.paid.replaceChildren(node("h2", {}, `Pays ${show(LAB.total(paid))}`), ...Object.entries(paid).map(([term, value]) => node("div", { class: "lab-term", "data-term": term, "data-value": value },
        node("span", {}, `${term} `, node("small", {}, FORMULA[state.name][term])), node("meter", { min: 0, max: most, value: Math.abs(value), "aria-label": term, class: value < 0 ? "lab-less" : "" }), node("output", {}, show(value)))),
        state.name === "nuanced" ? node("p", {}, node("small", {}, "By itself the answer meets an empty window, so that no label dominates; in the groups below the window fills as in training.")) : "");
      const group = all[state.group];
      panels.group.replaceChildren(node("h2", {}, "Its group of four: the mean is taken off, and what is left moves the model"), ...group.said.map((text, k) => node("div", { class: "lab-answer", "data-reward": group.rewards[k], "data-advantage": group.advantages[k] },
        node("button", { type: "button", "aria-label": `Take answer ${k + 1}`, onclick: () => { load(state.group, k); link(); } }, `${k + 1}`), node("span", { class: "lab-arrow" }, `${group.advantages[k] > 1e-9 ? "↑" : group.advantages[k] < -1e-9 ? "↓" : "="} ${show(group.advantages[k])}`),
        node("span", {}, `reward ${show(group.rewards[k])}: ${read(text).labels.join(", ") || "no label"}`))));
      summary(all);
    }

    function summary(all) {
      usual[state.name] ??= LAB.groups(state.name, defaults(state.name));
      const order = (rewards) => rewards.map((one) => rewards.filter((other) => other > one).length).join();
      const changed = all.filter((group, k) => order(group.rewards) !== order(usual[state.name][k].rewards)).length, ties = all.filter((group) => new Set(group.rewards).size === 1).length, best = LAB.selected(all);
      panels.all.replaceChildren(node("h2", {}, `Over all ${all.length} groups`), node("ul", {},
        node("li", { "data-ties": ties }, `${ties} groups tie: nothing is learnt from them.`), node("li", { "data-changed": changed }, `${changed} groups would be ordered differently by the constants as they were.`),
        node("li", { "data-micro": best.micro, "data-macro": best.macro }, `The answer that is paid most in each group has micro-F1 ${best.micro.toFixed(3)} and macro-F1 ${best.macro.toFixed(3)} against what is recorded. It is picked with the answer key.`),
        ...Object.entries(G.validation.said).map(([model, texts]) => { const value = mean(LAB.pay(state.name, state.constants[state.name], texts, G.validation.truth)); return node("li", { "data-model": model, "data-reward": value }, `${G.models[model]} earns ${show(value)} an answer on ${texts.length} validation studies.`); })));
      root.dispatchEvent(new CustomEvent("lab-paid", { detail: { name: state.name, constants: state.constants } }));
    }
  }
})();
