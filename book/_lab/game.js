// Hack the reward, then fix it: a policy of a few rules is paid on the validation studies. Bars are what the models earn there.
"use strict";
(() => {
  const { node, button, field, toggles, kept, memory } = LAB.parts, W = LAB.words, G = LAB.reward;
  const mean = (values) => LAB.sum(values) / values.length, show = (value) => (Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3));
  const stated = (name) => Object.fromEntries(Object.entries(W.rewards[name]).map(([key, one]) => [key, one.value]));
  const { truth, said } = G.validation;

  // The answer of a policy to each study. A rule has a share of 100 studies, a source (a model, or a list of labels) and padding.
  LAB.policy = (rules) => truth.map((_, k) => {
    const place = (k * 37) % 100;
    let reached = 0;
    const rule = rules.find((one) => (reached += one.share) > place) ?? rules.at(-1), pad = " ".repeat(rule.pad);
    if (rule.from !== "list") return said[rule.from][k].replace("<think>", `<think>${pad}`);
    return `<think>${pad}</think><solution>${rule.labels.join(", ")}</solution>`;
  });
  // What an answer earns on average. The window of equation 4 is filled by going through the studies once before.
  LAB.earned = (name, constants, texts) => mean(LAB.pay(name, constants, [...texts, ...texts], [...truth, ...truth]).slice(texts.length));

  // The levels of companion/lab/groups.py, each with what is to be beaten and whether rules keep to it.
  LAB.levels = () => G.levels.map((one) => ({
    ...one, bar: one.beats ? LAB.earned(one.reward, stated(one.reward), said[one.beats]) : 0,
    fits: (rules) => rules.every((rule) => rule.from === one.source && (one.blanks === null || rule.pad <= one.blanks)),
  }));
  // Whether rules (and, in the last level, constants) win a level.
  LAB.wins = (level, rules, constants) => {
    const texts = LAB.policy(rules), value = LAB.earned(level.reward, level.fix ? constants : stated(level.reward), texts);
    if (!level.fits(rules)) return { value, won: false };
    if (!level.fix) return { value, won: value > level.bar };
    const [base, sft] = ["base", "sft"].map((model) => LAB.earned("nuanced", constants, said[model]));
    const before = LAB.earned("nuanced", stated("nuanced"), texts);
    return { value, won: value < 0 && sft > base && sft > 0 && before > 0, base, sft, before };
  };

  for (const root of document.querySelectorAll(".lab-game:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const levels = LAB.levels(), held = memory.read("game"), done = new Set(held.done), usual = (share, from) => ({ share, from, labels: [W.findings[0]], pad: 0 });
    const state = { level: held.level ?? 0, rules: held.rules ?? [usual(100, "sft")], constants: { ...stated("nuanced"), ...held.constants } };
    const head = node("div", { class: "lab-bar" }), list = node("div", { class: "lab-rules" }), inputs = node("div", { class: "lab-boxes" });
    const out = node("div", { "aria-live": "polite" }), redraw = kept(root, draw);
    root.prepend(head, list, inputs, out);
    root.querySelector(":scope > details")?.removeAttribute("open");
    draw();

    function draw() {
      const level = levels[state.level];
      told(level);
      head.replaceChildren(levelChoice(), node("span", {}, level.task));
      list.replaceChildren(...state.rules.map(rule), ...(state.rules.length < 5 ? [button("another rule", () => { state.rules.push(usual(0, "list")); redraw(); }, { name: "more" })] : []));
      inputs.replaceChildren(...(level.fix ? Object.keys(state.constants).map(constant) : []));
    }

    // A number was changed: its field stays, so that the next Tab goes on from it.
    function levelled() {
      told(levels[state.level]);
      head.firstChild.replaceWith(levelChoice());
    }

    function levelChoice() {
      const titles = levels.map((_, k) => [k, `${k + 1}${done.has(k) ? " ✓" : ""}`]);
      const choice = field("Level", "level", Object.fromEntries(titles), (value) => { state.level = Number(value); redraw(); });
      choice.lastChild.value = state.level;
      return choice;
    }

    // What is typed and is no number from 0 on goes back to what it was.
    function constant(key) {
      const change = (event) => {
        if (event.target.value !== "" && Number(event.target.value) >= 0) state.constants[key] = Number(event.target.value);
        event.target.value = state.constants[key];
        levelled();
      };
      return node("label", { class: "lab-box" }, `${key} `, node("input", { type: "number", name: `fix-${key}`, min: 0, step: "any", value: state.constants[key], onchange: change }));
    }

    function told(level) {
      const { value, won, base, sft, before } = LAB.wins(level, state.rules, state.constants), texts = LAB.policy(state.rules);
      const score = LAB.scored(texts.map((text) => LAB.parse(text).labels), truth), shares = LAB.sum(state.rules.map((one) => one.share));
      if (won) done.add(state.level);
      memory.write("game", { ...state, done: [...done] });
      const models = level.fix && level.fits(state.rules) ? ` The untouched model earns ${show(base)}, the fine-tuned one ${show(sft)}.${before > 0 ? "" : ` By the constants as they were these rules earn ${show(before)}: win level three with them first.`}` : level.fix ? "" : ` To beat: ${show(level.bar)}.`;
      const odd = shares === 100 ? "" : ` The shares add up to ${shares}: ${shares < 100 ? "the last rule also answers the rest" : "what is beyond 100 answers nothing"}.`;
      root.dataset.won = won;
      out.replaceChildren(node("p", { class: won ? "lab-right" : "" }, node("strong", {}, won ? "Won. " : level.fits(state.rules) ? "Not yet. " : `Not by the rules of this level: ${level.rule}. `),
        `Your rules earn ${show(value)} an answer.${models}${odd} Micro-F1 ${score.micro.toFixed(3)}, macro-F1 ${score.macro.toFixed(3)}: what the reward pays and what a reader is worth are two things.`));
    }

    function rule(one, k) {
      const set = (name, value) => { one[name] = value; redraw(); };
      const from = field("answers of", `from-${k}`, { sft: "the fine-tuned model", hard: "the model after GRPO", list: "a list, whatever the image" }, (value) => set("from", value));
      from.lastChild.value = one.from;
      const whole = (text, most) => Math.max(0, Math.min(most, Math.round(Number(text)) || 0));
      const number = (title, name, most) => node("label", {}, `${title} `, node("input", { type: "number", name: `${name}-${k}`, min: 0, max: most, value: one[name], onchange: (event) => { event.target.value = one[name] = whole(event.target.value, most); levelled(); } }));
      const labels = one.from === "list" ? toggles("Labels of the list", W.findings, one.labels, (names) => names.length && set("labels", names)) : "";
      const gone = state.rules.length > 1 ? button("remove", () => { state.rules.splice(k, 1); redraw(); }) : "";
      return node("div", { class: "lab-rule" }, node("div", { class: "lab-bar" }, number("for", "share", 100), node("span", {}, "of 100 studies the"), from, number("with so many blanks in front:", "pad", 2000), gone), labels);
    }
  }
})();
