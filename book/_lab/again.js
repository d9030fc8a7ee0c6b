// Re-analysis: two runs on the same studies, with one's own findings, labels, policy and bootstrap. The numbers are those
// of `chexreason compare`; the Python that gives them stands below. Without this script the page's table of runs is whole.
"use strict";
(() => {
  const { node, button, field, table, toggles, kept, address, xray, chip, answer } = LAB.parts, W = LAB.words;
  const home = document.currentScript.src.replace(/[^/]*$/, "");
  const three = (value) => (value === null || Number.isNaN(value) ? "" : value.toFixed(3));
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
  const bit = (mask, name) => (mask >> W.findings.indexOf(name)) & 1;

  // Cells of 0 and 1 under a policy: what is recorded, and which count.
  const decided = (cohort, names, policy, against) => {
    const at = names.map((name) => cohort.findings.indexOf(name)), signs = cohort.labels[against];
    const yes = { zeros: "+", ones: "+?", ignore: "+" }[policy];
    return {
      truth: signs.map((row) => at.map((k) => Number(yes.includes(row[k])))),
      counts: signs.map((row) => at.map((k) => Number(!(policy === "ignore" && row[k] === "?")))),
    };
  };

  // As `paired.compare`: the table, how many patients, and what was left out.
  // Names that labels say anything of: text mining, for one, has ten.
  const stated = (cohort, names, against) => (["recorded", "drawn"].includes(against) ? names
    : names.filter((name) => cohort.labels[against].some((row) => row[cohort.findings.indexOf(name)] !== ".")));
  LAB.reanalysed = (cohort, runs, asked, policy, drop, against, resamples) => {
    const names = stated(cohort, asked, against);
    const { truth, counts } = decided(cohort, names, policy, against);
    const sides = runs.map((run) => cohort.runs[run].said.map((mask) => names.map((name) => bit(mask, name))));
    const kept = cohort.keys.map((_, b) => b).filter((b) => !(drop && runs.some((run) => cohort.runs[run].failed[b])));
    const only = (rows) => kept.map((b) => rows[b].map((cell, f) => cell & counts[b][f]));
    const found = LAB.compare(only(truth), sides.map(only), kept.map((b) => cohort.patients[b]), names, resamples);
    const floor = LAB.sum(names.map((_, f) => {
      const support = LAB.sum(only(truth).map((row) => row[f])), size = LAB.sum(kept.map((b) => counts[b][f]));
      return support + size ? (2 * support) / (support + size) : 0;
    })) / names.length;
    const macro = found.table.find((row) => row.score === "macro-F1");
    const unfit = runs.map((run, side) => why(kept.map((b) => cohort.runs[run].said[b]), [macro.first, macro.second][side], floor));
    return { ...found, names, studies: kept.length, dropped: cohort.keys.length - kept.length, kept, truth, unfit };
  };

  // As `comparable.unfit`: why a run's differences carry no conclusion.
  const why = (answers, macro, floor) => {
    const times = new Map();
    answers.forEach((one) => times.set(one, (times.get(one) ?? 0) + 1));
    const share = Math.max(...times.values()) / answers.length;
    if (share >= W.mostly) return `gives one answer to ${Math.round(100 * share)}% of the images`;
    return macro < floor ? `scores ${macro.toFixed(3)}, below naming every label (${floor.toFixed(3)})` : "";
  };

  // As `paired.over_seeds`: means over trainings, and Student's interval of their differences.
  LAB.overSeeds = (each) => {
    const n = each.length, all = (name) => LAB.sum(each.map((one) => one[name]));
    const rows = each.map((one) => one.table.filter((row) => row.score !== "macro-F1 of frequent"));
    const table = rows[0].map((row, k) => {
      const there = rows.map((one) => one[k]).filter((one) => one.positives !== 0), m = there.length; // else there is nothing to score
      const mean = (name) => LAB.sum(there.map((one) => one[name])) / m, gap = mean("difference");
      const reach = m > 1 ? W.student[m - 2] * Math.sqrt(LAB.sum(there.map((one) => (one.difference - gap) ** 2)) / (m - 1) / m) : null;
      const ends = reach === null ? { low: null, high: null } : { low: gap - reach, high: gap + reach };
      return { score: row.score, positives: row.positives === null ? null : LAB.sum(rows.map((one) => one[k].positives)), first: mean("first"), second: mean("second"), difference: gap, ...ends };
    });
    const unfit = [0, 1].map((side) => each.map((one) => one.unfit[side]).filter(Boolean)).map((found) => (found.length ? `${found[0]} at ${found.length} of ${n} seeds` : ""));
    return { table, patients: all("patients"), studies: all("studies"), dropped: all("dropped"), kept: [], unfit, names: each[0].names };
  };

  for (const root of document.querySelectorAll(".lab-again:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const cohorts = LAB.again, looked = new Map();
    // A cohort of several trainings has one set of studies a seed.
    const seedsOf = (where) => cohorts[where].seeds ?? { [cohorts[where].seed]: cohorts[where] };
    const cohortOf = (where, seed) => seedsOf(where)[seed] ?? Object.values(seedsOf(where))[0];
    const usual = Object.keys(cohorts).find((name) => Object.keys(cohortOf(name).runs).some((run) => run.includes("chexreason"))) ?? Object.keys(cohorts)[0];
    const state = { where: usual, policy: "zeros", against: "recorded", failures: "keep", resamples: String(W.resamples) };
    const bar = node("div", { class: "lab-bar" }), chips = node("div"), out = node("div", { class: "lab-out", "aria-live": "polite" });
    const redraw = kept(root, draw);
    root.prepend(bar, chips, out);
    root.querySelector(":scope > details")?.removeAttribute("open");
    begin(usual);
    const given = address.read({
      where: (value) => Object.hasOwn(cohorts, value), seed: Boolean, first: Boolean, second: Boolean, policy: (value) => Object.hasOwn(W.policies, value), against: (value) => Object.hasOwn(W.against, value),
      failures: (value) => ["keep", "drop"].includes(value), resamples: (value) => ["1000", String(W.resamples)].includes(value), names: Boolean,
    });
    if (given.where) begin(given.where);
    if (Object.hasOwn(seedsOf(state.where), given.seed ?? "") || (given.seed === "mean" && Object.keys(seedsOf(state.where)).length > 1)) state.seed = given.seed;
    const { runs, findings, labels } = cohortOf(state.where), named = (given.names ?? "").split(",");
    for (const name of ["policy", "failures", "resamples"]) state[name] = given[name] ?? state[name];
    for (const name of ["first", "second"]) state[name] = Object.hasOwn(runs, given[name] ?? "") ? given[name] : state[name];
    if (Object.hasOwn(labels, given.against ?? "")) state.against = given.against;
    if (findings.some((name) => named.includes(name))) state.names = findings.filter((name) => named.includes(name));
    controls();
    draw();

    // The runs that a reader wants first: before and after reinforcement.
    function begin(where) {
      const { runs, findings, labels } = cohortOf(where), ids = Object.keys(runs), first = ids.find((id) => /medgemma_sft|^sft$/.test(id)) ?? ids[0];
      const second = ids.find((id) => /chexreason|^hard$/.test(id)) ?? ids.find((id) => id !== first) ?? first;
      const seeds = Object.keys(seedsOf(where)), against = state.against in labels ? state.against : "recorded";
      Object.assign(state, { where, first, second, names: [...findings], against, seed: seeds.length > 1 ? "mean" : seeds[0] });
    }

    function set(change) {
      Object.assign(state, change);
      redraw();
      const { where, seed, first, second, policy, against, failures, resamples, names } = state;
      const some = names.length < cohortOf(where).findings.length ? { names: names.join() } : {};
      address.write({ where, seed, first, second, policy, against, failures, resamples, ...some });
    }

    function controls() {
      const cohort = cohortOf(state.where), seeds = Object.keys(seedsOf(state.where)), runs = Object.fromEntries(Object.keys(cohort.runs).map((id) => [id, id]));
      const choice = (title, name, entries) => field(title, name, entries, (value) => set({ [name]: value }));
      const only = (names) => cohort.findings.filter((name) => names.includes(name));
      bar.replaceChildren(
        field("Studies", "where", Object.fromEntries(Object.keys(cohorts).map((name) => [name, name])), (value) => {
          begin(value);
          controls();
          set({});
          bar.querySelector("select").focus();
        }),
        ...(seeds.length > 1 ? [choice("Seed", "seed", { ...Object.fromEntries(seeds.map((seed) => [seed, seed])), mean: `mean of ${seeds.length}` })] : []),
        choice("First run", "first", runs), choice("Second run", "second", runs),
        choice("Held against", "against", Object.fromEntries(Object.keys(cohort.labels).map((name) => [name, W.against[name]]))),
        choice("Uncertain labels", "policy", W.policies), choice("Unreadable answers", "failures", { keep: "name nothing", drop: "leave the study out" }),
        choice("Resamples", "resamples", { 1000: "1,000", [W.resamples]: W.resamples.toLocaleString("en") }),
        button("all findings", () => set({ names: [...cohort.findings] }), { name: "all" }),
        button("NIH's nine", () => set({ names: only(W.label_sets.nih9) }), { name: "nine" }));
    }

    function draw() {
      const cohort = cohortOf(state.where, state.seed), runs = [state.first, state.second], mean = state.seed === "mean";
      for (const select of bar.querySelectorAll("select")) select.value = state[select.name];
      bar.querySelector("[name=policy]").disabled = !cohort.labels[state.against].some((row) => row.includes("?"));
      bar.querySelector("[name=resamples]").disabled = mean;
      chips.replaceChildren(toggles("Findings", cohort.findings, state.names, (names) => names.length && set({ names })));
      if (state.first === state.second) return out.replaceChildren(node("p", {}, "The first run and the second are the same one: choose another."));
      if (!stated(cohort, state.names, state.against).length) return out.replaceChildren(node("p", {}, "These labels have none of the chosen findings: choose others."));
      const ask = (one, resamples) => LAB.reanalysed(one, runs, state.names, state.policy, state.failures === "drop", state.against, resamples);
      const found = mean ? LAB.overSeeds(Object.values(seedsOf(state.where)).map((one) => ask(one, 2))) : ask(cohort, Number(state.resamples));
      const scores = found.table.map((row) => [row.score, row.first, row.second]);
      looked.set(JSON.stringify(scores), found.table.filter((row) => row.low !== null && row.positives !== 0).length);
      root.dataset.found = JSON.stringify(found.table);
      out.replaceChildren(told(cohort, found), scoresOf(found), ...warned(found), forks(), mean ? "" : flips(cohort, found), python(), csv(found));
    }

    function told(cohort, found) {
      const dropped = found.dropped ? ` ${found.dropped} left out, where an answer cannot be read.` : "";
      const gone = state.names.length - found.names.length, never = gone ? ` ${gone} left out, which these labels never have.` : "";
      const seeds = Object.keys(seedsOf(state.where)), mean = state.seed === "mean", which = mean ? `mean of seeds ${seeds.join(", ")}` : `seed ${cohort.seed}`;
      const few = mean && seeds.length < 4 ? ` With ${seeds.length} trainings they are ${W.student[seeds.length - 2].toFixed(1)} standard errors wide to either side.` : "";
      const interval = mean ? `intervals are Student's, 95 %, over trainings, each on studies of its own.${few} Which findings are frequent differs, so their average is left out. Choose a seed to see which answers changed.`
        : "intervals are 95 % by patient and say nothing of another training.";
      return node("p", {}, `${cohort.tier}, ${mean ? state.where : cohort.profile}, ${which}: ${found.studies.toLocaleString("en")} studies of ${found.patients.toLocaleString("en")} patients, ${found.names.length} finding${found.names.length > 1 ? "s" : ""}.${never}${dropped} `
        + `The second run minus the first; ${interval}`);
    }

    function warned(found) {
      const sides = ["first", "second"].map((which, side) => [which, found.unfit[side]]).filter(([, reason]) => reason);
      return sides.map(([which, reason]) => node("p", { class: "lab-warned" }, `The ${which} ${reason}: its differences carry no conclusion.`));
    }

    // The averages set the scale; a bar that is longer ends at the edge.
    function scoresOf(found) {
      const ends = found.table.filter((row) => row.score.includes("F1") && row.low !== null).flatMap((row) => [row.low, row.high]);
      const reach = Math.min(1, 1.6 * Math.max(0.05, ...ends.map(Math.abs))), x = (value) => 60 + Math.max(-1, Math.min(1, value / reach)) * 58;
      const forest = (row) => node("svg", { viewBox: "0 0 120 14", role: "img", class: "lab-forest", "aria-label": `${signed(row.difference)}, ${signed(row.low)} to ${signed(row.high)}` },
        node("path", { d: "M60 0V14", class: "lab-zero" }), node("path", { d: `M${x(row.low)} 7H${x(row.high)}`, class: "lab-reach" }), node("path", { d: `M${x(row.difference)} 3V11`, class: "lab-point" }));
      const rows = found.table.map((row) => {
        if (row.positives === 0) return [row.score, "–", "", "", "–", "–", "0"]; // there is nothing to score
        const between = row.low === null ? "" : `${signed(row.low)} to ${signed(row.high)}`;
        return [row.score, signed(row.difference), between, row.low === null ? "" : forest(row), three(row.first), three(row.second), String(row.positives ?? "")];
      });
      return table("The comparison", ["score", "difference", "95 %", "to scale", "first", "second", state.against === "recorded" ? "recorded" : "positive"], rows);
    }

    function forks() {
      const n = looked.size, intervals = LAB.sum([...looked.values()]), chance = Math.round(100 * (1 - 0.95 ** intervals));
      const text = n === 1 ? "You have looked at one comparison" : `You have looked at ${n} comparisons with different results`;
      return node("p", { class: "lab-forks", "data-looked": n, "data-intervals": intervals }, `${text}, and at ${intervals} intervals. `
        + (intervals > 1 ? `Were all of it chance and each independent, one at least would leave out zero in ${chance} of 100 tries; Bonferroni asks each for ${(100 - 5 / intervals).toFixed(2)} %.` : ""));
    }

    function flips(cohort, found) {
      const words = (run, b) => found.names.filter((name) => bit(cohort.runs[run].said[b], name)).join(", ") || "nothing";
      const recorded = (b) => found.names.filter((_, f) => found.truth[b][f]).join(", ") || "nothing";
      const changed = found.kept.filter((b) => words(state.first, b) !== words(state.second, b)), seen = node("div", { class: "lab-seen lab-stage" });
      const all = node("div"), some = (n) => all.replaceChildren(table("Changed answers", ["study", "held against", "first", "second"], changed.slice(0, n).map(row), true),
        n < changed.length ? button(`show all ${changed.length}`, () => some(changed.length)) : "");
      const row = (b) => [cohort.images ? button(cohort.keys[b], () => look(cohort, b, seen)) : cohort.keys[b], recorded(b), words(state.first, b), words(state.second, b)];
      some(50);
      return node("details", { class: "lab-flips", "data-flips": changed.length }, node("summary", {}, `${changed.length} of ${found.studies} studies got another answer`),
        node("p", {}, cohort.images ? "Choose a study to see its X-ray and both answers. Blue and orange say there what was drawn, whatever the table is held against." : "The book has no X-rays of these studies."), seen, all);
    }

    // The X-ray of a study, and what both runs said of it; the images are loaded when they are first asked for.
    async function look(cohort, b, seen) {
      if (!LAB[cohort.images]) {
        await new Promise((done, fail) => document.head.append(Object.assign(document.createElement("script"), { src: `${home}${cohort.images}.js`, onload: done, onerror: fail })));
      }
      const { images, said } = LAB[cohort.images], { image, outlines, drawn } = images[b];
      const row = node("div", { class: "lab-row" }, node("strong", {}, "Drawn "), ...drawn.map((name) => chip(name, "drawn", "drawn on the image")));
      const answers = ["first", "second"].map((which) => node("section", { class: "lab-model" }, node("h2", {}, `${which}: ${state[which]}`), ...(said[state[which]] ? answer(said[state[which]][b], drawn) : [node("p", {}, "Its answers are not kept.")])));
      seen.replaceChildren(xray(image, outlines, `X-ray drawn with ${drawn.join(", ")}`), node("div", { class: "lab-told", "data-study": cohort.keys[b] }, row, ...answers));
      seen.scrollIntoView({ block: "nearest" });
    }

    function code() {
      const quoted = (values) => `(${values.map((value) => JSON.stringify(value)).join(", ")},)`, drop = state.failures === "drop" ? "True" : "False";
      const mean = state.seed === "mean", profiles = Object.values(mean ? seedsOf(state.where) : [cohortOf(state.where, state.seed)]).map((one) => one.profile);
      return `from companion.evidence import paired

each = []
for profile in ${quoted(profiles)}:
    runs = tuple(paired.open_run(name, profile) for name in ${quoted([state.first, state.second])})
    each.append(paired.compare(
        runs, tuple(map(paired.rows_of, runs)), findings=${quoted(state.names)}, policy=${JSON.stringify(state.policy)},
        against=${JSON.stringify(state.against)}, drop_failures=${drop}, resamples=${mean ? 2 : state.resamples},
    ))
found = ${mean ? "paired.over_seeds(each)" : "each[0]"}
print(found.table.to_string())`;
    }

    function python() {
      return node("details", { class: "lab-python" }, node("summary", {}, "The Python that gives the same"), node("pre", { tabindex: "0" }, code()),
        button("copy", () => navigator.clipboard?.writeText(code())));
    }

    function csv(found) {
      const heads = ["score", "positives", "first", "second", "difference", "low", "high"];
      const lines = [heads, ...found.table.map((row) => heads.map((name, k) => (k ? row[name] ?? "" : `"${row[name]}"`)))].map((line) => line.join(","));
      return node("p", {}, node("a", { download: "comparison.csv", href: `data:text/csv;charset=utf-8,${encodeURIComponent(lines.join("\n"))}` }, "The table as CSV"));
    }
  }
})();
