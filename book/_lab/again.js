// Re-analysis: two runs on the same studies, with one's own findings, policy and bootstrap. The numbers are those of
// `chexreason compare`; the Python that gives them stands below. Without this script the page's table of runs is whole.
"use strict";
(() => {
  const { node, field } = LAB.parts, W = LAB.words;
  const three = (value) => (value === null || Number.isNaN(value) ? "" : value.toFixed(3));
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

  // Cells of 0 and 1 under a policy: what is recorded, and which count.
  const decided = (cohort, names, policy) => {
    const at = names.map((name) => cohort.findings.indexOf(name));
    const yes = { zeros: "+", ones: "+?", ignore: "+" }[policy];
    return {
      truth: cohort.states.map((row) => at.map((k) => Number(yes.includes(row[k])))),
      counts: cohort.states.map((row) => at.map((k) => Number(!(policy === "ignore" && row[k] === "?")))),
    };
  };
  const named = (run, names) => run.said.map((mask) => names.map((name) => (mask >> W.findings.indexOf(name)) & 1));

  // As `paired.compare`: the table, how many patients, and what was left out.
  LAB.reanalysed = (cohort, runs, names, policy, drop, resamples) => {
    const { truth, counts } = decided(cohort, names, policy), sides = runs.map((run) => named(cohort.runs[run], names));
    const kept = cohort.keys.map((_, b) => b).filter((b) => !(drop && runs.some((run) => cohort.runs[run].failed[b])));
    const only = (rows) => kept.map((b) => rows[b].map((cell, f) => cell & counts[b][f]));
    const patients = kept.map((b) => cohort.patients[b]);
    const found = LAB.compare(only(truth), sides.map(only), patients, names, resamples);
    return { ...found, studies: kept.length, dropped: cohort.keys.length - kept.length, kept };
  };

  for (const root of document.querySelectorAll(".lab-again:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const cohorts = LAB.again, looked = new Set();
    const first = Object.keys(cohorts).find((name) => Object.keys(cohorts[name].runs).some((run) => run.includes("chexreason"))) ?? Object.keys(cohorts)[0];
    const state = { where: first, runs: [], names: [], policy: "zeros", failures: "keep", resamples: String(W.resamples) };
    const bar = node("div", { class: "lab-bar" }), chips = node("div", { class: "lab-row", role: "group", "aria-label": "Findings" });
    const out = node("div", { class: "lab-out", "aria-live": "polite" });
    root.prepend(bar, chips, out);
    root.querySelector(":scope > details")?.removeAttribute("open");
    choose(first);

    function choose(where) {
      const ids = Object.keys(cohorts[where].runs), guess = ids.findIndex((id) => id.includes("medgemma_sft"));
      const one = guess < 0 ? 0 : guess, other = ids.findIndex((id) => id.includes("chexreason"));
      Object.assign(state, { where, runs: [ids[one], ids[other < 0 ? Math.min(1, ids.length - 1) : other]], names: [...cohorts[where].findings] });
      controls();
      draw();
    }

    function controls() {
      const runs = Object.fromEntries(Object.keys(cohorts[state.where].runs).map((id) => [id, id])), keep = (name) => (value) => { state[name] = value; draw(); };
      bar.replaceChildren(
        field("Studies", "where", Object.fromEntries(Object.keys(cohorts).map((name) => [name, name])), choose),
        field("First run", "first", runs, (value) => { state.runs[0] = value; draw(); }),
        field("Second run", "second", runs, (value) => { state.runs[1] = value; draw(); }),
        field("Uncertain labels", "policy", { zeros: "count as absent", ones: "count as present", ignore: "do not count" }, keep("policy")),
        field("Unreadable answers", "failures", { keep: "name nothing", drop: "leave the study out" }, keep("failures")),
        field("Resamples", "resamples", { 1000: "1,000", [W.resamples]: W.resamples.toLocaleString("en") }, keep("resamples")),
        ...Object.entries({ all: cohorts[state.where].findings, nine: W.label_sets.nih9 }).map(([title, names]) =>
          node("button", { type: "button", name: title, onclick: () => { state.names = cohorts[state.where].findings.filter((name) => names.includes(name)); draw(); } }, title === "all" ? "all findings" : "NIH's nine")));
    }

    function draw() {
      const cohort = cohorts[state.where], values = { where: state.where, first: state.runs[0], second: state.runs[1], policy: state.policy, failures: state.failures, resamples: state.resamples };
      for (const select of bar.querySelectorAll("select")) select.value = values[select.name];
      chips.replaceChildren(...cohort.findings.map((name) => node("button", { type: "button", class: "lab-toggle", "aria-pressed": state.names.includes(name), onclick: () => {
        const names = cohort.findings.filter((one) => (one === name ? !state.names.includes(one) : state.names.includes(one)));
        if (names.length) { state.names = names; draw(); }
      } }, name)));
      const found = LAB.reanalysed(cohort, state.runs, state.names, state.policy, state.failures === "drop", Number(state.resamples));
      looked.add(JSON.stringify({ ...values, resamples: 0, names: state.names }));
      root.dataset.found = JSON.stringify(found.table);
      out.replaceChildren(...told(cohort, found), table(found), forks(), flips(cohort, found), python(), csv(found));
    }

    function told(cohort, found) {
      const dropped = found.dropped ? ` ${found.dropped} left out, where an answer cannot be read.` : "";
      return [node("p", {}, `${cohort.tier}: ${found.studies} studies of ${found.patients} patients, ${state.names.length} findings.${dropped} The second run minus the first; intervals are 95 % by patient and say nothing of another training.`)];
    }

    function table(found) {
      const reach = Math.max(0.05, ...found.table.map((row) => Math.max(Math.abs(row.low ?? 0), Math.abs(row.high ?? 0), Math.abs(row.low === null ? 0 : row.difference))));
      const x = (value) => 60 + (value / reach) * 56;
      const forest = (row) => (row.low === null ? "" : node("svg", { viewBox: "0 0 120 14", role: "img", class: "lab-forest", "aria-label": `${signed(row.difference)}, ${signed(row.low)} to ${signed(row.high)}` },
        node("path", { d: "M60 0V14", class: "lab-zero" }), node("path", { d: `M${x(row.low)} 7H${x(row.high)}`, class: "lab-reach" }), node("path", { d: `M${x(row.difference)} 3V11`, class: "lab-point" })));
      const rows = found.table.map((row) => node("tr", {}, node("th", { scope: "row" }, row.score), ...[row.positives ?? "", three(row.first), three(row.second), signed(row.difference), row.low === null ? "" : `${signed(row.low)} to ${signed(row.high)}`].map((cell) => node("td", {}, String(cell))), node("td", {}, forest(row))));
      return node("div", { class: "cxr-scroll", role: "region", tabindex: "0", "aria-label": "The comparison" }, node("table", {}, node("thead", {}, node("tr", {}, ...["score", "recorded", "first", "second", "difference", "95 %", ""].map((name) => node("th", {}, name)))), node("tbody", {}, ...rows)));
    }

    function forks() {
      const n = looked.size;
      return node("p", { class: "lab-forks", "data-looked": n }, `You have looked at ${n} ${n === 1 ? "comparison" : "different comparisons"}. ${n === 1 ? "" : `If all were chance, one of ${n} would exclude zero in ${Math.round(100 * (1 - 0.95 ** n))} of 100 tries, were they independent; Bonferroni would ask each for ${(100 - 5 / n).toFixed(2)} %.`}`);
    }

    function flips(cohort, found) {
      const words = (run, b) => state.names.filter((name) => (cohort.runs[run].said[b] >> W.findings.indexOf(name)) & 1).join(", ") || "nothing";
      const { truth } = decided(cohort, state.names, state.policy), recorded = (b) => state.names.filter((_, f) => truth[b][f]).join(", ") || "nothing";
      const changed = found.kept.filter((b) => words(state.runs[0], b) !== words(state.runs[1], b));
      const rows = changed.slice(0, 50).map((b) => node("tr", {}, ...[cohort.keys[b], recorded(b), words(state.runs[0], b), words(state.runs[1], b)].map((cell) => node("td", {}, cell))));
      return node("details", { class: "lab-flips", "data-flips": changed.length }, node("summary", {}, `${changed.length} of ${found.studies} studies got another answer`),
        node("div", { class: "cxr-scroll", role: "region", tabindex: "0", "aria-label": "Changed answers" }, node("table", { class: "cxr-wide" }, node("thead", {}, node("tr", {}, ...["study", "recorded", "first", "second"].map((name) => node("th", {}, name)))), node("tbody", {}, ...rows))), changed.length > 50 ? node("p", {}, "The first 50 are shown.") : "");
    }

    function code() {
      const profile = cohorts[state.where].profile, quoted = (values) => `(${values.map((value) => JSON.stringify(value)).join(", ")},)`;
      return `from companion.evidence import paired\n\nruns = tuple(paired.open_run(name, ${JSON.stringify(profile)}) for name in ${quoted(state.runs)})\nrows = tuple(paired.rows_of(run) for run in runs)\nfound = paired.compare(runs, rows, findings=${quoted(state.names)}, policy=${JSON.stringify(state.policy)},\n                       drop_failures=${state.failures === "drop" ? "True" : "False"}, resamples=${state.resamples})\nprint(found.table.to_string())`;
    }

    function python() {
      return node("details", { class: "lab-python" }, node("summary", {}, "The Python that gives the same"), node("pre", {}, code()), node("button", { type: "button", onclick: () => navigator.clipboard?.writeText(code()) }, "copy"));
    }

    function csv(found) {
      const lines = [["score", "positives", "first", "second", "difference", "low", "high"], ...found.table.map((row) => [`"${row.score}"`, row.positives, row.first, row.second, row.difference, row.low, row.high].map((cell) => cell ?? ""))];
      return node("p", {}, node("a", { download: "comparison.csv", href: `data:text/csv;charset=utf-8,${encodeURIComponent(lines.map((line) => line.join(",")).join("\n"))}` }, "The table as CSV"));
    }
  }
})();
