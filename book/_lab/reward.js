// Try a reward: a real answer, how it is read, what each term pays, its group, and what the reward would select among
// all groups. Without this script the page's tables of constants and of answers are whole.
"use strict";
(() => {
  const G = LAB.reward, W = LAB.words, { by, show, stated, node, button, field } = LAB.parts;
  const { number, positive, toggles, takeOver, setter, address } = LAB.parts;
  // As the groups were rewarded: the constants of the code, but for those that the experiment scales.
  const defaults = (name) => ({ ...stated(name), ...G.constants[name] });
  const parsed = Object.create(null);
  const read = (text) => (parsed[text] ??= LAB.parse(text));
  // The terms of one answer; `recent` is equation 4's window, which the answer is added to.
  const terms = (name, constants, text, truth, recent) => (name === "hard"
    ? LAB.hard(read(text), truth, text, constants)
    : LAB.nuanced(read(text), truth, text, constants, recent, G.shares));
  // The rewards of answers in their order, each against its truth.
  LAB.pay = (name, constants, texts, truths) => {
    const recent = [];
    return texts.map((text, k) => LAB.total(terms(name, constants, text, truths[k], recent)));
  };

  LAB.groups = (name, constants) => {
    const truths = G.groups.flatMap(({ said, truth }) => said.map(() => truth));
    const paid = LAB.pay(name, constants, G.groups.flatMap((group) => group.said), truths);
    return G.groups.map((group) => {
      const rewards = paid.splice(0, group.said.length);
      return { ...group, rewards, advantages: LAB.advantages(rewards) };
    });
  };
  // What a reward would select: the answer of each group that it pays most, scored against what is recorded.
  const selected = (groups) => {
    const most = groups.map(({ said, rewards }) => read(said[rewards.indexOf(Math.max(...rewards))]).labels);
    const labels = LAB.mean(most.map((one) => one.length));
    return { labels, ...LAB.scored(most, groups.map((group) => group.truth)) };
  };

  takeOver("reward", (root) => {
    const names = Object.keys(W.rewards);
    const state = { name: address.one("name", names, "hard"), constants: by(names, defaults) };
    const usual = {}; // reward -> its groups under the constants as they were
    const set = setter(root, state, draw, link), values = () => state.constants[state.name];
    const change = (constants) => set({ constants: { ...state.constants, [state.name]: constants } });
    const answerOf = (group, k) => ({ group, text: G.groups[group].said[k], truth: G.groups[group].truth });
    const box = node("textarea", { rows: 7, "aria-label": "The answer", spellcheck: "false",
      oninput: () => set({ text: box.value }) });
    const panel = (name, ...inner) => node("div", { class: name }, inner);
    const [asRead, pays, four, over] = ["read", "paid", "group", "all"].map((one) => panel(`lab-${one}`));
    const inputs = panel("lab-boxes"), chips = node("div");
    const groups = { ...G.groups.map(({ step, truth }, k) => `${k + 1}, step ${step}: ${truth.join(", ")}`) };
    const kinds = { hard: "equation 3 (hard)", nuanced: "equation 4 (nuanced)" };
    const bar = panel("lab-bar",
      field("Reward", "name", kinds, (name) => { set({ name }); boxes(); }, state.name),
      field("Group", "group", groups, (group) => set(answerOf(group, 0))),
      button("the constants as they were", () => { change(defaults(state.name)); boxes(); }));
    const own = node("div", {}, box, node("h2", {}, "Recorded"), chips, asRead);
    root.prepend(bar, inputs, panel("lab-two", own, pays), four, over);
    const given = Object.keys(values()).filter((key) => positive(address.get(key) ?? ""));
    Object.assign(values(), by(given, (key) => Number(address.get(key))));
    Object.assign(state, answerOf(address.one("group", Object.keys(groups), "0"), 0));
    state.text = address.get("text") ?? state.text;
    state.truth = address.some("truth", W.findings, state.truth);
    boxes();
    draw();

    // What differs from the page as it opens: the reward, its constants, the group, a text and labels of one's own.
    function link() {
      const { name, group, text, truth } = state, held = defaults(name), opens = G.groups[group];
      const changed = Object.fromEntries(Object.entries(values()).filter(([key, value]) => value !== held[key]));
      const own = opens.said[0] === text ? {} : { text };
      const labels = opens.truth.join() === truth.join() ? {} : { truth: truth.join() };
      return { name, group, ...changed, ...own, ...labels };
    }

    function boxes() {
      inputs.replaceChildren(...Object.entries(W.rewards[state.name]).map(([key, { what, origin, why }]) => {
        const oninput = ({ target: { value } }) => positive(value) && change({ ...values(), [key]: Number(value) });
        return node("label", { class: "lab-box", title: `${what}. ${origin}${why ? `: ${why}` : ""}` }, `${key} `,
          number(key, values()[key], () => values()[key], { step: "any", oninput }),
          node("small", {}, key in G.constants[state.name] ? " scaled" : ` ${origin}`));
      }));
    }

    function draw() {
      const all = LAB.groups(state.name, values());
      box.value = state.text;
      bar.querySelector("[name=group]").value = state.group;
      chips.replaceChildren(toggles("Recorded labels", W.findings, state.truth, (truth) => set({ truth })));
      asRead.replaceChildren(reading(read(state.text)));
      pays.replaceChildren(...payment());
      four.replaceChildren(...group(all[state.group]));
      over.replaceChildren(node("h2", {}, `Over all ${all.length} groups`), summary(all));
    }

    function reading({ valid, failed, labels, unknown, failures }) {
      return node("p", {}, `|t| = ${LAB.length(state.text)} characters. The blocks are ${valid ? "" : "not "}valid. `,
        node("strong", {}, failed ? "No label can be read." : `Read: ${labels.join(", ")}.`),
        unknown.length ? ` Unknown: ${unknown.join(", ")}.` : "",
        failures.length ? ` Faults: ${failures.join(", ").replaceAll("_", " ")}.` : "");
    }

    function payment() {
      const paid = terms(state.name, values(), state.text, state.truth, []);
      const max = Math.max(1e-9, ...Object.values(paid).map(Math.abs));
      const term = ([term, value]) => node("div", { class: "lab-term", "data-term": term, "data-value": value },
        node("span", {}, `${term} `, node("small", {}, G.terms[state.name][term])),
        node("meter", { min: 0, max, value: Math.abs(value), "aria-label": term, class: value < 0 ? "lab-less" : "" }),
        node("output", {}, show(value)));
      const alone = "By itself the answer meets an empty window, so that no label dominates; in the groups below the "
        + "window fills as in training.";
      return [node("h2", {}, `Pays ${show(LAB.total(paid))}`), ...Object.entries(paid).map(term),
        state.name === "nuanced" ? node("p", {}, node("small", {}, alone)) : ""];
    }

    function group({ said, rewards, advantages }) {
      const arrow = (value) => (value > 1e-9 ? "↑" : value < -1e-9 ? "↓" : "=");
      return [node("h2", {}, "Its group of four, as it was sampled and recorded: the mean is taken off, and what is left moves the model"),
        ...said.map((text, k) => node("div",
          { class: "lab-answer", "data-reward": rewards[k], "data-advantage": advantages[k] },
          button(`${k + 1}`, () => set(answerOf(state.group, k)), { "aria-label": `Take answer ${k + 1}` }),
          node("span", { class: "lab-arrow" }, `${arrow(advantages[k])} ${show(advantages[k])}`),
          node("span", {}, `reward ${show(rewards[k])}: ${read(text).labels.join(", ") || "no label"}`)))];
    }

    function summary(all) {
      const order = (rewards) => rewards.map((one) => rewards.filter((other) => other > one).length).join();
      const before = (usual[state.name] ??= LAB.groups(state.name, defaults(state.name)));
      const changed = all.filter(({ rewards }, k) => order(rewards) !== order(before[k].rewards)).length;
      const ties = all.filter(({ rewards }) => new Set(rewards).size === 1).length;
      const models = Object.entries(G.validation.said).map(([model, texts]) => {
        const value = LAB.mean(LAB.pay(state.name, values(), texts, G.validation.truth));
        return node("li", { "data-model": model, "data-reward": value },
          `${G.models[model]} earns ${show(value)} an answer on ${texts.length} validation studies.`);
      });
      const { micro, macro, labels } = selected(all), best = `micro-F1 ${micro.toFixed(3)} and macro-F1 ${macro.toFixed(3)}`;
      return node("ul", {}, node("li", { "data-ties": ties }, `${ties} groups tie: nothing is learnt from them.`),
        node("li", { "data-changed": changed },
          `In ${changed} groups the order of the answers is another than under the constants as they were.`),
        node("li", { "data-micro": micro, "data-macro": macro },
          `The answer that is paid most in each group, the first of those that tie, names ${show(labels)} labels. `
          + `It has ${best} against what is recorded, and is picked with the answer key.`),
        models);
    }
  });
})();
