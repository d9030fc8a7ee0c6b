// Hack the reward, then fix it: a policy of a few rules is paid on the validation studies. What is to be beaten is what
// the models earn there.
"use strict";
(() => {
  const { show, stated, node, button, field, number, positive, toggles, takeOver, kept, memory } = LAB.parts;
  const { findings } = LAB.words, G = LAB.reward, { truth, said } = G.validation;

  // The answer of a policy to each study. A rule has a share of 100 studies, a source (a model, or a list of labels)
  // and padding.
  LAB.policy = (rules) => truth.map((_, k) => {
    const place = (k * 37) % 100;
    let reached = 0;
    const rule = rules.find((one) => (reached += one.share) > place) ?? rules.at(-1);
    const think = `<think>${" ".repeat(rule.pad)}`;
    if (rule.from !== "list") return said[rule.from][k].replace("<think>", think);
    return `${think}</think><solution>${rule.labels.join(", ")}</solution>`;
  });
  // What an answer earns on average. The window of equation 4 is filled by going through the studies once before.
  const earned = (name, constants, texts) =>
    LAB.mean(LAB.pay(name, constants, [...texts, ...texts], [...truth, ...truth]).slice(texts.length));

  // The levels of companion/lab/groups.py, each with what is to be beaten and whether rules keep to it.
  LAB.levels = () => G.levels.map((one) => ({
    ...one, bar: one.beats ? earned(one.reward, stated(one.reward), said[one.beats]) : 0,
    fits: (rules) => rules.every((rule) => rule.from === one.source && (one.blanks === null || rule.pad <= one.blanks)),
  }));
  // Whether rules (and, in the last level, constants) win a level.
  LAB.wins = (level, rules, constants) => {
    const texts = LAB.policy(rules), value = earned(level.reward, level.fix ? constants : stated(level.reward), texts);
    if (!level.fits(rules)) return { value, won: false };
    if (!level.fix) return { value, won: value > level.bar };
    const [base, sft] = ["base", "sft"].map((model) => earned("nuanced", constants, said[model]));
    const before = earned("nuanced", stated("nuanced"), texts);
    return { value, won: value < 0 && sft > base && sft > 0 && before > 0, base, sft, before };
  };

  takeOver("game", (root) => {
    const levels = LAB.levels(), held = memory.read("game"), done = new Set(held.done);
    const usual = (share, from) => ({ share, from, labels: [findings[0]], pad: 0 });
    const begin = () => ({ rules: [usual(100, "sft")], constants: stated("nuanced") });
    const constants = { ...stated("nuanced"), ...held.constants };
    const state = { level: 0, ...begin(), ...held, constants };
    const head = node("div", { class: "lab-bar" }), list = node("div", { class: "lab-rules" });
    const inputs = node("div", { class: "lab-boxes" }), out = node("div", { "aria-live": "polite" });
    const redraw = kept(root, draw);
    root.prepend(head, list, inputs, out);
    draw();

    // Where all is drawn again when something changes; `change` is told what.
    function redrawn(change) {
      return (value) => {
        change(value);
        redraw();
      };
    }

    function draw() {
      const { fix, task } = levels[state.level];
      told();
      head.replaceChildren(levelChoice(), node("span", {}, task));
      const more = button("another rule", redrawn(() => state.rules.push(usual(0, "list"))), { name: "more" });
      const anew = button("begin anew", redrawn(() => Object.assign(state, begin())), { name: "anew" });
      list.replaceChildren(...state.rules.map(rule), state.rules.length < 5 ? more : "", anew);
      inputs.replaceChildren(...(fix ? Object.keys(state.constants).map(constant) : []));
    }

    // A number was changed: its box stays, so that the next Tab goes on from it.
    function levelled(value) {
      told();
      head.firstChild.replaceWith(levelChoice());
      return value;
    }

    function levelChoice() {
      const titles = levels.map((_, k) => `${k + 1}${done.has(k) ? " ✓" : ""}`);
      return field("Level", "level", { ...titles }, redrawn((value) => { state.level = Number(value); }), state.level);
    }

    // What is typed and is no number from 0 on goes back to what it was.
    function constant(key) {
      const change = ({ value }) => {
        if (positive(value)) state.constants[key] = Number(value);
        return levelled(state.constants[key]);
      };
      const box = number(`fix-${key}`, state.constants[key], change, { step: "any" });
      return node("label", { class: "lab-box" }, `${key} `, box);
    }

    function told() {
      const level = levels[state.level], { rules, constants } = state, fits = level.fits(rules);
      const { value, won, base, sft, before } = LAB.wins(level, rules, constants);
      const { micro, macro } = LAB.scored(LAB.policy(rules).map((text) => LAB.parse(text).labels), truth);
      const shares = LAB.sum(rules.map((one) => one.share)), add = `The shares add up to ${shares}`;
      if (won) done.add(state.level);
      memory.write("game", { ...state, done: [...done] });
      root.dataset.won = won;
      const verdict = won ? "Won. " : fits ? "Not yet. " : `Not by the rules of this level: ${level.rule}. `;
      out.replaceChildren(node("p", { class: won ? "lab-right" : "" }, node("strong", {}, verdict), [
        `Your rules earn ${show(value)} an answer.`,
        !level.fix && `To beat: ${show(level.bar)}.`,
        level.fix && fits && `The untouched model earns ${show(base)}, the fine-tuned one ${show(sft)}.`,
        before <= 0 && `By the constants as they were these rules earn ${show(before)}:`,
        before <= 0 && "win level three with them first.",
        shares < 100 && `${add}: the last rule also answers the rest.`,
        shares > 100 && `${add}: what is beyond 100 answers nothing.`,
        `Micro-F1 ${micro.toFixed(3)}, macro-F1 ${macro.toFixed(3)}: what the reward pays and what a reader is worth`,
        "are two things.",
      ].filter(Boolean).join(" ")));
    }

    function rule(one, k) {
      const sources = { sft: "the fine-tuned model", hard: "the model after GRPO (equation 3)", list: "a list, whatever the image" };
      const from = field("answers of", `from-${k}`, sources, redrawn((value) => { one.from = value; }), one.from);
      const amount = (title, name, max) => {
        const change = ({ value }) => {
          one[name] = Math.max(0, Math.min(max, Math.round(Number(value)) || 0));
          return levelled(one[name]);
        };
        return node("label", {}, `${title} `, number(`${name}-${k}`, one[name], change, { max }));
      };
      const labels = toggles("Labels of the list", findings, one.labels, redrawn((names) => { one.labels = names; }));
      const remove = button("remove", redrawn(() => state.rules.splice(k, 1)));
      return node("div", { class: "lab-rule" }, node("div", { class: "lab-bar" }, amount("for", "share", 100),
        node("span", {}, "of 100 studies the"), from, amount("blanks put in front:", "pad", 2000),
        state.rules.length > 1 ? remove : ""), one.from === "list" ? labels : "");
    }
  });
})();
