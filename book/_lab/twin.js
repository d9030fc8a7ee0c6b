// The reader of completions, both rewards, the scores and the bootstrap, as chexreason and companion have them in Python.
// It holds logic only: every name, sign and constant comes from Python (`LAB.words`, written by companion/lab/export.py).
// tests/test_lab_twin.py holds it to Python on all committed answers and on fuzzed ones.
"use strict";
globalThis.LAB ??= {};
(() => {
  const W = LAB.words;
  const inClass = (signs) => [...signs].map((sign) => `\\u{${sign.codePointAt(0).toString(16)}}`).join("");
  const trimmer = (signs) => new RegExp(`^[${inClass(signs)}]+|[${inClass(signs)}]+$`, "gu");
  // Python's \s is not JavaScript's.
  const regex = (source, flags = "u") => new RegExp(source.replaceAll("[\\s", `[${inClass(W.space)}`).replaceAll("\\s", `[${inClass(W.space)}]`), flags);
  const SPACE = trimmer(W.space), DECORATION = trimmer(W.decoration), MARKS = trimmer(W.marks);
  const BLANKS = new RegExp(`[${inClass(W.space)}]+`, "u"), NUMBER = regex(W.number), COUNT = regex(W.count);
  const FRONT = new RegExp(`^[${inClass(W.marks)}]+`, "u"), LESS = regex(W.less), BOX = regex(W.box), NEXT = regex(W.next, "gu");
  const TICKED = regex(W.ticked, "gu"), EMPTY = regex(W.empty, "gu");
  const LINES = new RegExp(`\\r\\n|[${inClass(W.lines)}]`, "gu");
  const signs = new Map(W.signs.flatMap(([from, to, sign]) => Array.from({ length: to - from + 1 }, (_, k) => [String.fromCodePoint(from + k), sign])));
  const byName = new Map([...W.findings.map((name) => [name.toLowerCase(), name]), ...Object.entries(W.aliases).map(([other, name]) => [other.toLowerCase(), name])]);
  const strip = (text, signs = SPACE) => text.replace(signs, "");
  const count = (text, part) => text.split(part).length - 1;

  function findBlock(text, name) {
    const opening = `<${name}>`, closing = `</${name}>`, start = text.indexOf(opening);
    const close = start >= 0 ? text.indexOf(closing, start + opening.length) : -1;
    const end = close >= 0 ? close + closing.length : -1, opens = count(text, opening), closes = count(text, closing);
    return { opens, closes, start, end, body: close >= 0 ? text.slice(start + opening.length, close) : "", whole: opens === 1 && closes === 1 && end >= 0 };
  }

  function readLabels(body) {
    const labels = [], unknown = [];
    let duplicates = 0;
    for (const raw of [...body].map((sign) => (W.separators.includes(sign) ? "," : sign)).join("").split(",")) {
      const entry = strip(strip(raw, DECORATION).replace(NUMBER, ""), DECORATION).split(BLANKS).filter(Boolean).join(" ");
      const name = byName.get(entry.toLowerCase());
      if (name === undefined) { if (entry) unknown.push(entry); }
      else if (labels.includes(name)) duplicates++;
      else labels.push(name);
    }
    return { labels, unknown, duplicates };
  }

  function entry(text) {
    let no = text.includes("☐") || LESS.test(text.replace(FRONT, "")), bare = strip(strip(text, MARKS).replace(COUNT, ""), MARKS);
    const yes = bare === "☑";
    bare = strip(strip(bare.replaceAll("☐", " ").replaceAll("☑", " "), MARKS).replace(COUNT, ""), MARKS);
    if (BOX.test(bare) && bare.length > 2) { bare = strip(bare.slice(2), MARKS); no = true; }
    return no ? `☐${bare}` : yes ? "☑" : bare;
  }

  function struck(text) {
    const parts = text.split("~~");
    if (parts.length % 2 === 0) return parts.join("☐");
    return parts.map((part, k) => (k % 2 ? `☐${part.replace(/([,\n\r])/gu, "$1☐")}` : part)).join("");
  }

  function listed(body) {
    let text = struck([...body].map((sign) => signs.get(sign) ?? sign).join("").replace(TICKED, "☑").replace(EMPTY, "☐"));
    const lines = text.split(LINES);
    if (lines.at(-1) === "") lines.pop(); // as str.splitlines
    text = strip(lines.join(","));
    const first = [...text].slice(0, 1).join("");
    if (first === "☐" || first === "☑") text = text.replace(NEXT, ",");
    else if (first && W.marks.includes(first)) text = text.replace(regex(`\\s[${inClass(first)}](?=\\s)`, "gu"), ",");
    const entries = text.split(",").map(entry).filter(Boolean), before = ["☐", "☑"].includes(entries[0]), kept = [];
    let box = "";
    for (const one of entries) {
      if (one === "☐" || one === "☑") {
        if (!before && kept.length && one === "☐") kept.push(`☐${kept.pop().replace(/^☐/u, "")}`);
        box = one;
      } else { kept.push(before && box === "☐" ? `☐${one}` : one); box = ""; }
    }
    return kept.join(",");
  }

  function parse(text, format = { think: true, tag: "solution" }, truncated = false) {
    const blocks = (format.think ? ["think", format.tag] : [format.tag]).map((name) => findBlock(text, name));
    const failures = new Set(truncated ? ["truncated"] : []), last = Math.max(...blocks.map((block) => block.start));
    for (const block of blocks) {
      if (block.opens > 1 || block.closes > 1) failures.add("repeated_block");
      if (block.opens === 0) failures.add("missing_block");
      else if (block.end < 0 && block.closes) failures.add("wrong_order");
      else if (block.end < 0) failures.add(block.start === last ? "truncated" : "missing_block");
    }
    blocks.slice(1).forEach((after, k) => {
      const before = blocks[k];
      if (before.start >= 0 && after.start >= 0 && Math.max(before.start, before.end) > after.start) failures.add("wrong_order");
    });
    const valid = blocks.every((block) => block.whole) && !failures.has("wrong_order"), pieces = [];
    let at = 0;
    for (const block of blocks.filter((one) => one.start >= 0).sort((a, b) => a.start - b.start)) {
      pieces.push(strip(text.slice(at, Math.max(at, block.start))));
      at = Math.max(at, block.end >= 0 ? block.end : text.length);
    }
    const outside = [...pieces, strip(text.slice(at))].filter(Boolean).join(" "), solution = blocks.at(-1);
    const read = solution.whole ? readLabels(listed(solution.body)) : { labels: [], unknown: [], duplicates: 0 };
    if (outside) failures.add("text_outside");
    if (read.unknown.length) failures.add("unknown_label");
    if (read.duplicates) failures.add("duplicate");
    if (solution.whole && !read.labels.length && !read.unknown.length) failures.add("empty");
    return { ...read, outside, failures: [...failures].sort(), valid, failed: !read.labels.length, blocks };
  }

  const length = (text) => [...text].length; // as Python's len
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const total = (terms) => sum(Object.values(terms));
  const hits = (one, other) => one.filter((name) => other.includes(name)).length;

  function hard(parsed, truth, text, s) {
    if (!parsed.valid) return { jaccard: 0, short: 0 };
    const both = hits(parsed.labels, truth);
    return { jaccard: both / (truth.length + parsed.labels.length - both), short: length(text) < s.min_length ? -s.short_penalty : 0 };
  }

  // `recent` is the window of predictions, which this call adds to; `frequencies` the labels' shares among training studies.
  function nuanced(parsed, truth, text, s, recent, frequencies) {
    const bad = parsed.failed || !parsed.valid, named = parsed.labels;
    const form = { malformed: 0 - s.malformed * bad, unknown: 0 - s.invalid * parsed.unknown.length, duplicate: 0 - s.duplicate * parsed.duplicates, outside: 0 - s.outside * (parsed.outside !== "") };
    if (bad) return { match: 0, recall: 0, precision: 0, false_positive: 0, repetition: 0, collapse: 0, ...form };
    recent.push(named);
    while (recent.length > s.window) recent.shift();
    const share = (name) => recent.filter((labels) => labels.includes(name)).length / s.window;
    const dominant = recent.length < s.window ? 0 : named.filter((name) => share(name) > s.dominance).length, right = hits(named, truth);
    const wrong = sum(named.filter((name) => !truth.includes(name)).sort().map((name) => frequencies[name] ?? 0)) / Math.max(...Object.values(frequencies));
    return {
      match: right === truth.length && right === named.length ? s.exact : 0, recall: (s.recall * right) / truth.length, precision: (s.precision * right) / named.length,
      false_positive: 0 - s.false_positive * wrong, repetition: 0 - s.repetition * dominant, collapse: 0 - s.collapse * (dominant > 0), ...form,
    };
  }

  const advantages = (rewards) => rewards.map((reward) => reward - sum(rewards) / rewards.length);
  Object.assign(LAB, { parse, readLabels, hard, nuanced, total, advantages, length, sum, strip });
})();
