// Scores, the paired bootstrap by patient and comparisons, as companion/evidence/{stats,paired,comparable}.py have
// them: numpy's PCG64 and its bounded integers from a state that Python exports, so that the same patients are drawn.
"use strict";
(() => {
  const W = LAB.words, CODES = 2 ** 32, SIDES = ["first", "second"];

  // The words of 32 bits of numpy's PCG64 (XSL-RR 128/64), turned as numbers: as large integers it takes twice as long.
  function* random({ state, inc }) {
    const halves = new BigUint64Array(2), words = new Uint32Array(halves.buffer), step = BigInt(inc);
    for (let now = BigInt(state); ;) {
      now = BigInt.asUintN(128, now * 0x2360ed051fc65da44385df649fccf645n + step);
      halves[0] = now; // its lower half
      halves[1] = now >> 64n;
      const turn = words[3] >>> 26, by = turn % 32, pair = [words[0] ^ words[2], words[1] ^ words[3]];
      const [low, high] = turn < 32 ? pair : pair.reverse();
      yield (by ? (low >>> by) | (high << (32 - by)) : low) >>> 0;
      yield (by ? (high >>> by) | (low << (32 - by)) : high) >>> 0;
    }
  }

  // Generator.integers(n, size=many, dtype=int32), by Lemire's method.
  function drawn(n, many) {
    const found = new Int32Array(many), words = random(W.draws);
    for (let k = 0; k < many;) { // below 2 ** 53 as long as n is below 2 ** 21
      const wide = words.next().value * n, left = wide % CODES;
      if (left >= n || left >= (CODES - n) % n) found[k++] = Math.floor(wide / CODES);
    }
    return found;
  }

  const ratio = (above, below) => (below > 0 ? above / below : 0);
  const f1 = (hits, extra, missed) => ratio(2 * hits, 2 * hits + extra + missed);

  function quantile(sorted, share) { // linear, as numpy's default
    const place = (sorted.length - 1) * share, k = Math.floor(place), part = place - k;
    const from = sorted[k], to = sorted[Math.min(k + 1, sorted.length - 1)], gap = to - from;
    return part >= 0.5 ? to - gap * (1 - part) : from + gap * part;
  }

  // The percentile interval of all values but the first, widened to hold the first.
  function interval(values, level = 0.95) {
    const sorted = Float64Array.from(values).subarray(1).sort(), end = (share) => quantile(sorted, share);
    return { low: Math.min(end((1 - level) / 2), values[0]), high: Math.max(end((1 + level) / 2), values[0]) };
  }

  // truth and predictions: rows of 0 and 1 a finding, already masked. Gives the counts of hits, extra and missed a
  // finding and prediction, in the studies as they are, then in each resample of the patients.
  const kept = {}; // patients and resamples -> what is drawn: most changes on a page draw the same
  function resampled(truth, predictions, patients, resamples) {
    const F = truth[0].length, places = new Map([...new Set(patients)].map((name, p) => [name, p])), P = places.size;
    const cells = Array.from({ length: P }, () => []); // of each patient, where one is counted
    predictions.forEach((said, m) => truth.forEach((row, b) => row.forEach((there, f) => {
      const kind = there ? (said[b][f] ? 0 : 2) : 1;
      if (there || said[b][f]) cells[places.get(patients[b])].push((m * F + f) * 3 + kind);
    })));
    const counts = (some) => {
      const found = new Float64Array(predictions.length * F * 3);
      for (const p of some) for (const cell of cells[p]) found[cell]++;
      return found;
    };
    const draws = (kept[[P, resamples]] ??= drawn(P, P * resamples));
    const each = Array.from({ length: resamples }, (_, r) => counts(draws.subarray(r * P, r * P + P)));
    return [counts(places.values()), ...each];
  }

  // The averages of `comparable.averages`: name -> places of the findings that it holds.
  function averages(names, positives) {
    const all = [...names.keys()], nine = all.filter((k) => W.label_sets.nih9.includes(names[k]));
    const some = { "macro-F1 of NIH's nine": nine.length === W.label_sets.nih9.length ? nine : [],
      "macro-F1 of frequent": all.filter((k) => positives[k] >= W.enough) };
    const held = Object.entries(some).filter(([, places]) => places.length && places.length < all.length);
    return { "macro-F1": all, ...Object.fromEntries(held) };
  }

  const row = (score, positives, [first, second], ends = { low: null, high: null }) =>
    ({ score, positives, first, second, difference: second - first, ...ends });

  // Rows of `paired.compare`'s table: score, positives, first, second, difference, low, high.
  function compare(truth, predictions, patients, names, resamples) {
    const positives = names.map((_, f) => LAB.sum(truth.map((row) => row[f]))), macros = averages(names, positives);
    const scores = (counts) => {
      const [hits, extra, missed] = [0, 1, 2].map((kind) => names.map((_, f) => counts[3 * f + kind]));
      const each = hits.map((_, f) => f1(hits[f], extra[f], missed[f]));
      const micro = f1(LAB.sum(hits), LAB.sum(extra), LAB.sum(missed));
      return [micro, ...Object.values(macros).map((places) => LAB.mean(places.map((f) => each[f]))), ...each];
    };
    const F = names.length, counts = resampled(truth, predictions, patients, resamples);
    const first = counts.map((one) => scores(one)), second = counts.map((one) => scores(one.subarray(3 * F)));
    const table = ["micro-F1", ...Object.keys(macros), ...names].map((score, k) => {
      const gaps = first.map((one, r) => second[r][k] - one[k]);
      return row(score, positives[names.indexOf(score)] ?? null, [first[0][k], second[0][k]], interval(gaps));
    });
    return { table: [...table, ...shares(truth, predictions, names)], patients: new Set(patients).size };
  }

  // The operating point: labels named per recorded, and how many abnormal and normal studies are called normal.
  function shares(truth, predictions, names) {
    const all = (rows) => LAB.sum(rows.flat());
    const called = (recorded) => (rows) => {
      const those = rows.filter((_, b) => truth[b][0] === recorded);
      return ratio(LAB.sum(those.map(([normal]) => normal)), those.length);
    };
    const normal = { "abnormal called normal": called(0), "normal called normal": called(1) };
    const found = { "labels named per recorded": (rows) => ratio(all(rows), all(truth)),
      ...(names[0] === W.findings[0] ? normal : {}) };
    return Object.entries(found).map(([score, of]) => row(score, null, predictions.map(of)));
  }

  // Whether a run's answer, a mask, names a finding.
  const named = (mask, name) => (mask >> W.findings.indexOf(name)) & 1;
  // Names that labels say anything of: text mining, for one, has ten.
  const stated = (cohort, names, against) => (["recorded", "drawn"].includes(against) ? names
    : names.filter((name) => cohort.labels[against].some((row) => row[cohort.findings.indexOf(name)] !== ".")));

  // As `paired.compare`: the table, how many patients, and what was left out. Cells are of the studies that are kept.
  const reanalysed = (cohort, runs, asked, policy, drop, against, resamples) => {
    const names = stated(cohort, asked, against), both = runs.map((run) => cohort.runs[run]);
    const kept = [...cohort.keys.keys()].filter((b) => !(drop && both.some((run) => run.failed[b])));
    const cells = (of) => kept.map((b) => names.map((name) =>
      Number(of(cohort.labels[against][b][cohort.findings.indexOf(name)], name, b))));
    const truth = cells((sign) => sign === "+" || (sign === "?" && policy === "ones"));
    const counted = (sign) => sign !== "?" || policy !== "ignore", counts = cells(counted);
    const sides = both.map(({ said }) => cells((sign, name, b) => counted(sign) && named(said[b], name)));
    const found = compare(truth, sides, kept.map((b) => cohort.patients[b]), names, resamples);
    const floor = LAB.mean(names.map((_, f) => { // macro-F1 of naming every label
      const [support, size] = [truth, counts].map((rows) => LAB.sum(rows.map((row) => row[f])));
      return f1(support, size - support, 0);
    }));
    const macro = found.table.find((row) => row.score === "macro-F1");
    const unfit = SIDES.map((side, k) => why(kept.map((b) => both[k].said[b]), macro[side], floor));
    const failed = both.map((run) => kept.filter((b) => run.failed[b]).length);
    return { ...found, names, studies: kept.length, dropped: cohort.keys.length - kept.length, kept, truth, unfit, failed };
  };

  // As `comparable.unfit`: why a run's differences carry no conclusion.
  const why = (answers, macro, floor) => {
    const times = {};
    for (const one of answers) times[one] = (times[one] ?? 0) + 1;
    const share = Math.max(...Object.values(times)) / answers.length;
    if (share >= W.mostly) return `gives one answer to ${Math.round(100 * share)}% of the images`;
    return macro < floor ? `scores ${macro.toFixed(3)}, below naming every label (${floor.toFixed(3)})` : "";
  };

  // As `paired.over_seeds`: means over trainings, and Student's interval of their differences.
  const overSeeds = (each) => {
    const tables = each.map((one) => one.table.filter((row) => row.score !== "macro-F1 of frequent"));
    const table = tables[0].map(({ score, positives }, k) => {
      const rows = tables.map((one) => one[k]);
      const there = rows.filter((one) => one.positives !== 0); // else there is nothing to score
      const average = (name) => LAB.mean(there.map((one) => one[name]));
      const [first, second, difference] = [...SIDES, "difference"].map(average);
      const squares = LAB.sum(there.map((one) => (one.difference - difference) ** 2)), m = there.length;
      const reach = W.student[m - 2] * Math.sqrt(squares / (m - 1) / m);
      const [low, high] = m > 1 ? [difference - reach, difference + reach] : [null, null];
      const held = positives === null ? null : LAB.sum(rows.map((one) => one.positives));
      return { score, positives: held, first, second, difference, low, high };
    });
    const unfit = SIDES.map((_, side) => {
      const found = each.map((one) => one.unfit[side]).filter(Boolean);
      return found.length ? `${found[0]} at ${found.length} of ${each.length} seeds` : "";
    });
    const [patients, studies, dropped] = ["patients", "studies", "dropped"].map((name) =>
      LAB.sum(each.map((one) => one[name])));
    const without = (k) => tables.filter((one) => one[k].positives === 0).length;
    const rare = table.map(({ score }, k) => [score, without(k)]).filter(([, k]) => k > 0 && k < each.length);
    const failed = SIDES.map((_, side) => LAB.sum(each.map((one) => one.failed[side])));
    const lacking = Object.fromEntries(rare);
    return { table, patients, studies, dropped, unfit, failed, lacking, names: each[0].names };
  };

  Object.assign(LAB, { f1, compare, named, stated, reanalysed, overSeeds });
})();
