// Scores and the paired bootstrap by patient, as companion/evidence/{stats,paired,comparable}.py have them: numpy's PCG64 and
// its bounded integers from a state that Python exports, so that the same patients are drawn.
"use strict";
(() => {
  // numpy's PCG64 (XSL-RR 128/64) in 16-bit limbs, and Generator.integers(n, dtype=int32) by Lemire's method.
  class Draws {
    constructor({ state, inc }) {
      const limbs = (value) => Float64Array.from({ length: 8 }, (_, k) => Number((BigInt(value) >> BigInt(16 * k)) & 0xffffn));
      this.other = new Float64Array(8); this.state = limbs(state); this.inc = limbs(inc); this.times = limbs("0x2360ed051fc65da44385df649fccf645"); this.kept = -1;
    }
    next32() {
      if (this.kept >= 0) { const kept = this.kept; this.kept = -1; return kept; }
      const { state, inc, times, other: out } = this;
      let carry = 0;
      for (let k = 0; k < 8; k++) {
        let held = carry + inc[k];
        for (let i = 0; i <= k; i++) held += state[i] * times[k - i];
        carry = Math.floor(held / 65536);
        out[k] = held - carry * 65536;
      }
      this.other = state; this.state = out;
      const word = (k) => (out[k] | (out[k + 1] << 16)) >>> 0, turn = word(6) >>> 26;
      let low = (word(0) ^ word(4)) >>> 0, high = (word(2) ^ word(6)) >>> 0, by = turn;
      if (by >= 32) { [low, high] = [high, low]; by -= 32; }
      const turned = by ? [((low >>> by) | (high << (32 - by))) >>> 0, ((high >>> by) | (low << (32 - by))) >>> 0] : [low, high];
      this.kept = turned[1];
      return turned[0];
    }
    below(n) {
      for (;;) { // below 2 ** 53 as long as n is below 2 ** 21
        const wide = this.next32() * n, left = wide % 4294967296;
        if (left >= n || left >= (4294967296 - n) % n) return Math.floor(wide / 4294967296);
      }
    }
  }

  const f1 = (hits, extra, missed) => { const below = 2 * hits + extra + missed; return below > 0 ? (2 * hits) / below : 0; };

  function quantile(sorted, share) { // linear, as numpy's default
    const place = (sorted.length - 1) * share, k = Math.floor(place), part = place - k;
    const from = sorted[k], to = sorted[Math.min(k + 1, sorted.length - 1)], gap = to - from;
    return part >= 0.5 ? to - gap * (1 - part) : from + gap * part;
  }

  // The first value with the percentile interval of the rest, widened to hold the value itself.
  function percentiles(values, level = 0.95) {
    const sorted = Float64Array.from(values).subarray(1).sort();
    return { estimate: values[0], low: Math.min(quantile(sorted, (1 - level) / 2), values[0]), high: Math.max(quantile(sorted, (1 + level) / 2), values[0]) };
  }

  // truth and predictions: rows of 0 and 1 a finding, already masked. Calls `each` with the counts (M x 3 x F) of the studies
  // as they are, then of each resample of the patients.
  function resample(truth, predictions, patients, draws, resamples, each) {
    const F = truth[0].length, M = predictions.length, width = M * 3 * F, places = new Map();
    const codes = patients.map((name) => { if (!places.has(name)) places.set(name, places.size); return places.get(name); }), P = places.size;
    const counts = new Float64Array(P * width), held = new Float64Array(width);
    truth.forEach((row, b) => predictions.forEach((all, m) => row.forEach((there, f) => {
      const kind = there && all[b][f] ? 0 : all[b][f] ? 1 : there ? 2 : -1;
      if (kind >= 0) counts[codes[b] * width + (m * 3 + kind) * F + f]++;
    })));
    // Most of a patient's counts are 0: what is not, one patient after the other.
    const full = [...counts.keys()].filter((at) => counts[at] > 0), starts = new Int32Array(P + 1), cells = Int32Array.from(full, (at) => at % width);
    full.forEach((at) => { starts[Math.floor(at / width) + 1]++; });
    for (let p = 0; p < P; p++) starts[p + 1] += starts[p];
    const add = (p) => { for (let k = starts[p]; k < starts[p + 1]; k++) held[cells[k]] += counts[full[k]]; };
    for (let p = 0; p < P; p++) add(p);
    each(held, 0);
    for (let r = 1; r <= resamples; r++) { held.fill(0); for (let k = 0; k < P; k++) add(draws.below(P)); each(held, r); }
    return P;
  }

  // The averages of `comparable.averages`: name -> places of the findings that it holds.
  function averages(names, positives, nine, enough) {
    const places = names.map((_, k) => k), ofNine = places.filter((k) => nine.includes(names[k])), frequent = places.filter((k) => positives[k] >= enough);
    const found = { "macro-F1": places, "macro-F1 of NIH's nine": ofNine.length === nine.length ? ofNine : [], "macro-F1 of frequent": frequent };
    return Object.fromEntries(Object.entries(found).filter(([name, held]) => held.length && (name === "macro-F1" || held.length < names.length)));
  }

  // Rows of `paired.compare`'s table: score, positives, first, second, difference, low, high.
  function compare(truth, predictions, patients, names, resamples, words = LAB.words) {
    const F = names.length, positives = names.map((_, f) => LAB.sum(truth.map((row) => row[f]))), held = averages(names, positives, words.label_sets.nih9, words.enough);
    const titles = ["micro-F1", ...Object.keys(held), ...names], values = titles.map(() => [0, 1].map(() => new Float64Array(resamples + 1)));
    const P = resample(truth, predictions, patients, new Draws(words.draws), resamples, (counts, r) => {
      for (let m = 0; m < 2; m++) {
        const each = new Array(F), sums = [0, 0, 0];
        for (let f = 0; f < F; f++) {
          const [hits, extra, missed] = [0, 1, 2].map((kind) => counts[(m * 3 + kind) * F + f]);
          each[f] = f1(hits, extra, missed); sums[0] += hits; sums[1] += extra; sums[2] += missed;
        }
        values[0][m][r] = f1(...sums);
        Object.values(held).forEach((places, k) => { values[1 + k][m][r] = LAB.sum(places.map((f) => each[f])) / places.length; });
        each.forEach((value, f) => { values[1 + Object.keys(held).length + f][m][r] = value; });
      }
    });
    const table = titles.map((score, k) => {
      const [first, second] = values[k], gap = percentiles(second.map((value, r) => value - first[r])), own = names.indexOf(score);
      return { score, positives: own < 0 ? null : positives[own], first: first[0], second: second[0], difference: gap.estimate, low: gap.low, high: gap.high };
    });
    return { table: [...table, ...shares(truth, predictions, names)], patients: P };
  }

  // The operating point: labels named per recorded, and how many abnormal and normal studies are called normal.
  function shares(truth, predictions, names) {
    const all = (rows) => LAB.sum(rows.map((row) => LAB.sum(row))), over = (above, below) => (below > 0 ? above / below : 0);
    const normal = names.indexOf(LAB.words.findings[0]), called = (rows, recorded) => over(rows.filter((row, b) => row[normal] && truth[b][normal] === recorded).length, truth.filter((row) => row[normal] === recorded).length);
    const found = { "labels named per recorded": (rows) => over(all(rows), all(truth)) };
    if (normal === 0) Object.assign(found, { "abnormal called normal": (rows) => called(rows, 0), "normal called normal": (rows) => called(rows, 1) });
    return Object.entries(found).map(([score, of]) => {
      const [first, second] = predictions.map(of);
      return { score, positives: null, first, second, difference: second - first, low: null, high: null };
    });
  }

  Object.assign(LAB, { Draws, f1, quantile, percentiles, compare });
})();
