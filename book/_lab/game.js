// Hack the reward, then mend it: a policy of a few rules is paid on the validation studies. Bars are what the models earn there.
"use strict";
(() => {
  const { node, field } = LAB.parts, W = LAB.words, G = LAB.reward;
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

  const bar = (name, model) => LAB.earned(name, stated(name), said[model]);
  const blind = (rules) => rules.every((rule) => rule.from === "list");
  const copied = (rules) => rules.every((rule) => rule.from === "sft");
  LAB.levels = () => [
    { name: "hard", bar: bar("hard", "sft"), text: "Equation 3: earn more than the fine-tuned model with its own labels, unchanged.", fits: copied },
    { name: "hard", bar: bar("hard", "hard"), text: "Equation 3: earn more than the model after GRPO with the labels of the one before it.", fits: copied },
    { name: "nuanced", bar: 0, text: "Equation 4: earn more than nothing without looking at an image. One answer for all earns far less.", fits: blind },
    { name: "nuanced", mend: true, bar: 0, text: "Mend it: change equation 4 until your rules of level three earn less than nothing, and the fine-tuned model still earns more than the untouched one, and more than nothing.", fits: blind },
  ];
  // Whether rules (and, in the last level, constants) win a level.
  LAB.wins = (level, rules, constants) => {
    const texts = LAB.policy(rules), value = LAB.earned(level.name, level.mend ? constants : stated(level.name), texts);
    if (!level.fits(rules)) return { value, won: false };
    if (!level.mend) return { value, won: value > level.bar };
    const [base, sft] = ["base", "sft"].map((model) => LAB.earned("nuanced", constants, said[model]));
    return { value, won: value < 0 && sft > base && sft > 0 && LAB.earned("nuanced", stated("nuanced"), texts) > 0, base, sft };
  };

  for (const root of document.querySelectorAll(".lab-game:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const levels = LAB.levels(), done = new Set(), state = { level: 0, rules: [{ share: 100, from: "sft", labels: [W.findings[0]], pad: 0 }], constants: stated("nuanced") };
    const head = node("div", { class: "lab-bar" }), list = node("div", { class: "lab-rules" }), inputs = node("div", { class: "lab-boxes" }), out = node("div", { "aria-live": "polite" });
    root.prepend(head, list, inputs, out);
    root.querySelector(":scope > details")?.removeAttribute("open");
    draw();

    function draw() {
      const level = levels[state.level];
      head.replaceChildren(field("Level", "level", Object.fromEntries(levels.map((_, k) => [k, `${k + 1}${done.has(k) ? " ✓" : ""}`])), (value) => { state.level = Number(value); draw(); }), node("span", {}, level.text));
      head.querySelector("select").value = state.level;
      list.replaceChildren(...state.rules.map(rule), ...(state.rules.length < 5 ? [node("button", { type: "button", name: "more", onclick: () => { state.rules.push({ share: 0, from: "list", labels: [W.findings[0]], pad: 0 }); draw(); } }, "another rule")] : []));
      inputs.replaceChildren(...(level.mend ? Object.keys(state.constants).map((key) => node("label", { class: "lab-box" }, `${key} `, node("input", { type: "number", name: `mend-${key}`, min: 0, step: "any", value: state.constants[key], onchange: (event) => {
        if (event.target.value !== "" && Number(event.target.value) >= 0) { state.constants[key] = Number(event.target.value); draw(); }
      } }))) : []));
      const { value, won, base, sft } = LAB.wins(level, state.rules, state.constants), texts = LAB.policy(state.rules), score = LAB.scored(texts.map((text) => LAB.parse(text).labels), truth);
      if (won) done.add(state.level);
      const models = level.mend ? ` The untouched model earns ${show(base ?? 0)}, the fine-tuned one ${show(sft ?? 0)}.` : ` To beat: ${show(level.bar)}.`;
      root.dataset.won = won;
      out.replaceChildren(node("p", { class: won ? "lab-right" : "" }, node("strong", {}, won ? "Won. " : level.fits(state.rules) ? "Not yet. " : "The rules of this level forbid that. "), `Your rules earn ${show(value)} an answer.${models} Micro-F1 ${score.micro.toFixed(3)}, macro-F1 ${score.macro.toFixed(3)}: what the reward pays and what a reader is worth are two things.`));
    }

    function rule(one, k) {
      const change = (name, cast) => (event) => { one[name] = cast(event.target.value); draw(); };
      const from = field("answers of", `from-${k}`, { sft: "the fine-tuned model", hard: "the model after GRPO", list: "a list, whatever the image" }, (value) => { one.from = value; draw(); });
      from.querySelector("select").value = one.from;
      const number = (title, name, most) => node("label", {}, `${title} `, node("input", { type: "number", name: `${name}-${k}`, min: 0, max: most, value: one[name], onchange: change(name, (text) => Math.max(0, Math.min(most, Number(text) || 0))) }));
      const labels = one.from === "list" ? node("div", { class: "lab-row", role: "group", "aria-label": "Labels of the list" }, ...W.findings.map((name) => node("button", { type: "button", class: "lab-toggle", "aria-pressed": one.labels.includes(name), onclick: () => {
        const now = one.labels.includes(name) ? one.labels.filter((other) => other !== name) : [...one.labels, name];
        if (now.length) { one.labels = now; draw(); }
      } }, name))) : "";
      const gone = state.rules.length > 1 ? node("button", { type: "button", onclick: () => { state.rules.splice(k, 1); draw(); } }, "remove") : "";
      return node("div", { class: "lab-rule" }, node("div", { class: "lab-bar" }, number("for", "share", 100), node("span", {}, "of 100 studies the"), from, number("with so many blanks in front:", "pad", 2000), gone), labels);
    }
  }
})();
