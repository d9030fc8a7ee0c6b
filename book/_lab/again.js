// Re-analysis: two runs on the same studies, with one's own findings, labels, policy and bootstrap. The numbers are
// those of `chexreason compare`; the Python that gives them stands below. Without this script the page's table of runs
// is whole.
"use strict";
(() => {
  const { by, fixed, node, button, field, table, toggles, takeOver, loaded, setter, address } = LAB.parts;
  const { xray, drawnRow, answer } = LAB.parts, W = LAB.words, SIDES = ["first", "second"];
  const three = (value) => (value === null || Number.isNaN(value) ? "" : fixed(value));
  const signed = (value) => `${value < 0 ? "−" : "+"}${fixed(Math.abs(value))}`;
  const many = (count) => count.toLocaleString("en");
  const same = (names) => by(names, (name) => name);

  takeOver("again", (root) => {
    const cohorts = LAB.again, looked = new Map();
    // A cohort of several trainings has one set of studies a seed.
    const seedsOf = (where) => cohorts[where].seeds ?? { [cohorts[where].seed]: cohorts[where] };
    const cohortOf = (where, seed) => seedsOf(where)[seed] ?? Object.values(seedsOf(where))[0];
    const seedChoices = (where) => {
      const seeds = Object.keys(seedsOf(where));
      return { ...same(seeds), ...(seeds.length > 1 ? { mean: `mean of ${seeds.length}` } : {}) };
    };
    // What is looked at: the trainings whose mean is taken, or the one of a seed.
    const averaged = () => state.seed === "mean";
    const trainings = () => (averaged() ? Object.values(seedsOf(state.where)) : [cohortOf(state.where, state.seed)]);
    const resamplesOf = () => (averaged() ? 2 : Number(state.resamples)); // a mean needs none
    const failures = { keep: "name nothing", drop: "leave the study out" };
    const resamples = { 1000: many(1000), [W.resamples]: many(W.resamples) };
    const state = {
      policy: address.one("policy", Object.keys(W.policies), "zeros"), against: "recorded",
      failures: address.one("failures", Object.keys(failures), "keep"),
      resamples: address.one("resamples", Object.keys(resamples), String(W.resamples)),
    };
    const bar = node("div", { class: "lab-bar" }), chips = node("div"), set = setter(root, state, draw, link);
    const out = node("div", { class: "lab-out", "aria-live": "polite" });
    root.prepend(bar, chips, out);
    const places = Object.keys(cohorts), idsOf = (where) => Object.keys(cohortOf(where).runs);
    const usual = places.find((where) => idsOf(where).some((id) => id.includes("chexreason"))) ?? places[0];
    begin(address.one("where", places, usual));
    const { findings, labels } = cohortOf(state.where);
    state.seed = address.one("seed", Object.keys(seedChoices(state.where)), state.seed);
    for (const side of SIDES) state[side] = address.one(side, idsOf(state.where), state[side]);
    state.against = address.one("against", Object.keys(labels), "recorded");
    state.names = address.some("names", findings, findings);
    controls();
    draw();

    // The runs that a reader wants first: before and after reinforcement.
    function begin(where) {
      const { findings, labels } = cohortOf(where), ids = idsOf(where);
      const first = ids.find((id) => /medgemma_sft|^sft$/.test(id)) ?? ids[0];
      const second = ids.find((id) => /chexreason|^hard$/.test(id)) ?? ids.find((id) => id !== first) ?? first;
      const against = state.against in labels ? state.against : "recorded";
      const seed = Object.keys(seedChoices(where)).at(-1); // their mean, if there are several
      Object.assign(state, { where, first, second, names: findings, against, seed });
    }

    function link() {
      const { where, seed, first, second, policy, against, failures, resamples, names } = state;
      const some = names.length < cohortOf(where).findings.length ? { names: names.join() } : {};
      return { where, seed, first, second, policy, against, failures, resamples, ...some };
    }

    function controls() {
      const { findings, labels } = cohortOf(state.where), seeds = seedChoices(state.where);
      const ids = same(idsOf(state.where));
      const nine = findings.filter((name) => W.label_sets.nih9.includes(name));
      const choice = (title, name, entries) => field(title, name, entries, (value) => set({ [name]: value }));
      const moved = (value) => {
        begin(value);
        controls();
        set({});
        bar.querySelector("select").focus();
      };
      bar.replaceChildren(
        field("Studies", "where", same(places), moved), ...("mean" in seeds ? [choice("Seed", "seed", seeds)] : []),
        choice("First run", "first", ids), choice("Second run", "second", ids),
        choice("Held against", "against", by(Object.keys(labels), (name) => W.against[name])),
        choice("Uncertain labels", "policy", W.policies), choice("Unreadable answers", "failures", failures),
        choice("Resamples", "resamples", resamples),
        button("all findings", () => set({ names: findings }), { name: "all" }),
        button("NIH's nine", () => set({ names: nine }), { name: "nine" }));
    }

    function draw() {
      const each = trainings(), [cohort] = each, say = (text) => out.replaceChildren(node("p", {}, text));
      for (const select of bar.querySelectorAll("select")) select.value = state[select.name];
      bar.querySelector("[name=policy]").disabled = !cohort.labels[state.against].some((row) => row.includes("?"));
      bar.querySelector("[name=resamples]").disabled = averaged();
      chips.replaceChildren(toggles("Findings", cohort.findings, state.names, (names) => set({ names })));
      if (state.first === state.second) return say("The first run and the second are the same one: choose another.");
      const { first, second, names, policy, against } = state, drop = state.failures === "drop";
      const none = !LAB.stated(cohort, names, against).length;
      if (none) return say("These labels have none of the chosen findings: choose others.");
      const all = each.map((one) => LAB.reanalysed(one, [first, second], names, policy, drop, against, resamplesOf()));
      const found = averaged() ? LAB.overSeeds(all) : all[0];
      const scores = found.table.map((row) => [row.score, ...[row.first, row.second].sort()]);
      looked.set(JSON.stringify(scores), found.table.filter((row) => row.low < row.high && row.positives !== 0).length);
      root.dataset.found = JSON.stringify(found.table);
      out.replaceChildren(told(cohort, found), scoresOf(found), ...warned(found), forks(),
        averaged() ? "" : flips(cohort, found), python(), csv(found));
    }

    function told(cohort, { studies, patients, names, dropped, failed, table, lacking }) {
      const seeds = Object.keys(seedsOf(state.where)), n = seeds.length, never = state.names.length - names.length;
      const which = averaged() ? `${state.where}, mean of seeds ${seeds.join(", ")}`
        : `${cohort.profile}, seed ${cohort.seed}`;
      const findings = `${names.length} finding${names.length > 1 ? "s" : ""}`;
      const none = table.filter((row) => row.positives === 0).length;
      return node("p", {}, [
        `${cohort.tier}, ${which}: ${many(studies)} studies of ${many(patients)} patients, ${findings}.`,
        never && `${never} left out, which these labels never have.`,
        dropped && `${dropped} left out, where an answer cannot be read.`,
        failed.some(Boolean) && `Answers that cannot be read: ${failed[0]} of the first run, ${failed[1]} of the second.`,
        none && `${none} of the findings occur in no study: macro-F1 counts each as 0.`,
        ...Object.entries(lacking ?? {}).map(([name, k]) => `${name}: mean of ${n - k}; at ${k} of ${n} no study has it.`),
        "The second run minus the first; intervals are",
        !averaged() && "95 % by patient and say nothing of another training.",
        averaged() && "Student's, 95 %, over trainings, each on studies of its own.", 
        averaged() && n < 4
          && `With ${n} trainings they are ${W.student[n - 2].toFixed(1)} standard errors wide to either side.`,
        averaged() && "Which findings are frequent differs, so their average is left out.",
        averaged() && "Choose a seed to see which answers changed.",
      ].filter(Boolean).join(" "));
    }

    function warned({ unfit }) {
      return SIDES.flatMap((side, k) => (unfit[k]
        ? [node("p", { class: "lab-warned" }, `The ${side} ${unfit[k]}: its differences carry no conclusion.`)] : []));
    }

    // The averages set the scale; a bar that is longer ends at the edge.
    function scoresOf({ table: scores }) {
      const ends = scores.filter((row) => row.score.includes("F1")).flatMap((row) => [row.low, row.high].map(Math.abs));
      const reach = Math.min(1, 1.6 * Math.max(0.05, ...ends));
      const x = (value) => 60 + Math.max(-1, Math.min(1, value / reach)) * 58;
      const rows = scores.map(({ score, positives, first, second, difference, low, high }) => {
        if (positives === 0) return [score, "–", "", "", "–", "–", "0"]; // there is nothing to score
        const values = [three(first), three(second), String(positives ?? "")];
        if (low === null) return [score, signed(difference), "", "", ...values];
        const between = `${signed(low)} to ${signed(high)}`, label = `${signed(difference)}, ${between}`;
        const forest = node("svg", { viewBox: "0 0 120 14", role: "img", class: "lab-forest", "aria-label": label },
          node("path", { d: "M60 0V14", class: "lab-zero" }),
          node("path", { d: `M${x(low)} 7H${x(high)}`, class: "lab-reach" }),
          node("path", { d: `M${x(difference)} 3V11`, class: "lab-point" }));
        return [score, signed(difference), between, forest, ...values];
      });
      const held = state.against === "recorded" ? "recorded" : "positive";
      return table("The comparison", ["score", "difference", "95 %", "to scale", ...SIDES, held], rows);
    }

    function forks() {
      const n = looked.size, intervals = LAB.sum([...looked.values()]);
      const chance = Math.round(100 * (1 - 0.95 ** intervals)), level = (100 - 5 / intervals).toFixed(2);
      const odds = "Were all of it chance and each independent, one at least would leave out zero in "
        + `${chance} of 100 tries; Bonferroni asks each for ${level} %.`;
      return node("p", { class: "lab-forks", "data-looked": n, "data-intervals": intervals },
        `Since you opened this page you have looked at ${n === 1 ? "one comparison" : `${n} comparisons with different results`}, `
        + `and at ${intervals} intervals. ${intervals > 1 ? odds : ""}`);
    }

    function flips(cohort, { names, kept, truth, studies }) {
      const listed = (has) => names.filter(has).join(", ") || "nothing";
      const said = (side, b) => listed((name) => LAB.named(cohort.runs[state[side]].said[b], name));
      const seen = node("div", { class: "lab-seen lab-stage" }), all = node("div");
      const study = (b) => (cohort.images ? button(cohort.keys[b], () => look(cohort, b, seen)) : cohort.keys[b]);
      const rows = kept.map((b, k) => [study(b), listed((_, f) => truth[k][f]), said("first", b), said("second", b)]);
      const changed = rows.filter(([, , first, second]) => first !== second);
      const some = (n) => all.replaceChildren(
        table("Changed answers", ["study", "held against", ...SIDES], changed.slice(0, n), true),
        n < changed.length ? button(`show all ${changed.length}`, () => some(changed.length)) : "");
      some(50);
      const choose = "Choose a study to see its X-ray and both answers. "
        + "Blue and orange say there what was drawn, whatever the table is held against.";
      return node("details", { class: "lab-flips", "data-flips": changed.length },
        node("summary", {}, `${changed.length} of ${studies} studies got another answer`),
        node("p", {}, cohort.images ? choose : "The X-rays of these studies are not in the book."), seen, all);
    }

    // The X-ray of a study, and what both runs said of it.
    async function look(cohort, b, seen) {
      const { images, said } = await loaded(cohort.images), { image, outlines, drawn } = images[b];
      const answers = SIDES.map((side) => answer(`${side}: ${state[side]}`, said[state[side]]?.[b], drawn));
      seen.replaceChildren(xray(image, outlines, drawn),
        node("div", { class: "lab-told", "data-study": cohort.keys[b] }, drawnRow(drawn), answers));
      seen.scrollIntoView({ block: "nearest" });
    }

    function code() {
      const { first, second, names, policy, against } = state, quoted = JSON.stringify;
      const drop = state.failures === "drop" ? "True" : "False";
      const tuple = (values) => `(${values.map((value) => quoted(value)).join(", ")},)`;
      return `from companion.evidence import paired

each = []
for profile in ${tuple(trainings().map((one) => one.profile))}:
    runs = tuple(paired.open_run(name, profile) for name in ${tuple([first, second])})
    each.append(paired.compare(
        runs, tuple(map(paired.rows_of, runs)), findings=${tuple(names)}, policy=${quoted(policy)},
        against=${quoted(against)}, drop_failures=${drop}, resamples=${resamplesOf()},
    ))
found = ${averaged() ? "paired.over_seeds(each)" : "each[0]"}
print(found.table.to_string())`;
    }

    function python() {
      return node("details", { class: "lab-python" }, node("summary", {}, "The Python that gives the same"),
        node("pre", { tabindex: 0 }, code()), button("copy", () => navigator.clipboard?.writeText(code())));
    }

    function csv(found) {
      const [first, ...rest] = ["score", "positives", ...SIDES, "difference", "low", "high"];
      const lines = found.table.map((row) => [`"${row[first]}"`, ...rest.map((name) => row[name] ?? "")]);
      const text = [[first, ...rest], ...lines].map((line) => line.join(",")).join("\n");
      const href = `data:text/csv;charset=utf-8,${encodeURIComponent(text)}`;
      return node("p", {}, node("a", { download: "comparison.csv", href }, "The table as CSV"));
    }
  });
})();
