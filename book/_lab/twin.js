// The reader of completions and both rewards, as chexreason has them in Python. It holds logic only: every name, sign
// and constant comes from Python (`LAB.words`, written by companion/lab/export.py).
// tests/test_lab_twin.py holds it to Python on all committed answers and on fuzzed ones.
"use strict";
globalThis.LAB ??= {};
(() => {
  const W = LAB.words;
  const range = (signs) => [...signs].map((sign) => `\\u{${sign.codePointAt(0).toString(16)}}`).join("");
  const BLANK = range(W.space);
  // Python's \s is not JavaScript's.
  const regex = (source, flags = "u") =>
    new RegExp(source.replaceAll("[\\s", `[${BLANK}`).replaceAll("\\s", `[${BLANK}]`), flags);
  const trimmer = (signs) => regex(`^[${range(signs)}]+|[${range(signs)}]+$`, "gu");
  const SPACE = trimmer(W.space), DECORATION = trimmer(W.decoration), MARKS = trimmer(W.marks);
  const BLANKS = regex("\\s+"), NUMBER = regex(W.number), COUNT = regex(W.count), NEXT = regex(W.next, "gu");
  const FRONT = regex(`^[${range(W.marks)}]+`), LESS = regex(W.less), BOX = regex(W.box);
  const TICKED = regex(W.ticked, "gu"), EMPTY = regex(W.empty, "gu"), LINES = regex(`\\r\\n|[${range(W.lines)}]`, "gu");
  const signs = new Map(W.signs.flatMap(([from, to, sign]) =>
    Array.from({ length: to - from + 1 }, (_, k) => [String.fromCodePoint(from + k), sign])));
  const spelt = [...W.findings.map((name) => [name, name]), ...Object.entries(W.aliases)];
  const byName = new Map(spelt.map(([other, name]) => [other.toLowerCase(), name]));
  const strip = (text, signs = SPACE) => text.replace(signs, "");
  const count = (text, part) => text.split(part).length - 1;
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const mean = (values) => sum(values) / values.length;

  function findBlock(text, name) {
    const opening = `<${name}>`, closing = `</${name}>`, opens = count(text, opening), closes = count(text, closing);
    const start = text.indexOf(opening), from = start + opening.length;
    const close = start < 0 ? -1 : text.indexOf(closing, from), end = close < 0 ? -1 : close + closing.length;
    return { opens, closes, start, end, body: text.slice(from, close), whole: opens === 1 && closes === 1 && end >= 0 };
  }

  function readLabels(body) {
    const labels = [], unknown = [];
    let duplicates = 0;
    for (const raw of [...body].map((sign) => (W.separators.includes(sign) ? "," : sign)).join("").split(",")) {
      const bare = strip(strip(raw, DECORATION).replace(NUMBER, ""), DECORATION);
      const entry = bare.split(BLANKS).filter(Boolean).join(" "), name = byName.get(entry.toLowerCase());
      if (labels.includes(name)) duplicates++;
      else if (name) labels.push(name);
      else if (entry) unknown.push(entry);
    }
    return { labels, unknown, duplicates };
  }

  function entry(text) {
    const peeled = (part) => strip(strip(part, MARKS).replace(COUNT, ""), MARKS);
    const first = peeled(text), bare = peeled(first.replace(/[☐☑]/gu, " "));
    if (BOX.test(bare) && bare.length > 2) return `☐${strip(bare.slice(2), MARKS)}`;
    if (text.includes("☐") || LESS.test(text.replace(FRONT, ""))) return `☐${bare}`;
    return first === "☑" ? "☑" : bare;
  }

  function struck(text) {
    const parts = text.split("~~");
    if (parts.length % 2 === 0) return parts.join("☐");
    return parts.map((part, k) => (k % 2 ? `☐${part.replace(/([,\n\r])/gu, "$1☐")}` : part)).join("");
  }

  function listed(body) {
    const translated = [...body].map((sign) => signs.get(sign) ?? sign).join("");
    const lines = struck(translated.replace(TICKED, "☑").replace(EMPTY, "☐")).split(LINES);
    if (lines.at(-1) === "") lines.pop(); // as str.splitlines
    let text = strip(lines.join(","));
    const [first = ""] = text;
    if (["☐", "☑"].includes(first)) text = text.replace(NEXT, ",");
    else if (first && W.marks.includes(first)) text = text.replace(regex(`\\s[${range(first)}](?=\\s)`, "gu"), ",");
    const entries = text.split(",").map(entry).filter(Boolean), before = ["☐", "☑"].includes(entries[0]), kept = [];
    let box = "";
    for (const one of entries) {
      if (one === "☐" || one === "☑") {
        if (!before && kept.length && one === "☐") kept.push(`☐${kept.pop().replace(/^☐/u, "")}`);
        box = one;
      } else {
        kept.push(before && box === "☐" ? `☐${one}` : one);
        box = "";
      }
    }
    return kept.join(",");
  }

  function parse(text, format = { think: true, tag: "solution" }, truncated = false) {
    const blocks = (format.think ? ["think", format.tag] : [format.tag]).map((name) => findBlock(text, name));
    const failures = new Set(), last = Math.max(...blocks.map((block) => block.start)), solution = blocks.at(-1);
    const fails = (name, so) => so && failures.add(name);
    fails("truncated", truncated);
    for (const { opens, closes, start, end } of blocks) {
      fails("repeated_block", opens > 1 || closes > 1);
      if (opens === 0) failures.add("missing_block");
      else if (end < 0) failures.add(closes ? "wrong_order" : start === last ? "truncated" : "missing_block");
    }
    blocks.slice(1).forEach((after, k) => {
      const { start, end } = blocks[k];
      fails("wrong_order", start >= 0 && after.start >= 0 && Math.max(start, end) > after.start);
    });
    const valid = blocks.every((block) => block.whole) && !failures.has("wrong_order"), pieces = [];
    let at = 0;
    for (const { start, end } of blocks.filter((one) => one.start >= 0).sort((a, b) => a.start - b.start)) {
      pieces.push(text.slice(at, Math.max(at, start)));
      at = Math.max(at, end >= 0 ? end : text.length);
    }
    const outside = [...pieces, text.slice(at)].map((piece) => strip(piece)).filter(Boolean).join(" ");
    const read = readLabels(solution.whole ? listed(solution.body) : "");
    fails("text_outside", outside);
    fails("unknown_label", read.unknown.length);
    fails("duplicate", read.duplicates);
    fails("empty", solution.whole && !read.labels.length && !read.unknown.length);
    return { ...read, outside, failures: [...failures].sort(), valid, failed: !read.labels.length };
  }

  const length = (text) => [...text].length; // as Python's len
  const total = (terms) => sum(Object.values(terms));
  const hits = (one, other) => one.filter((name) => other.includes(name)).length;

  function hard(parsed, truth, text, s) {
    if (!parsed.valid) return { jaccard: 0, short: 0 };
    const both = hits(parsed.labels, truth), short = length(text) < s.min_length ? -s.short_penalty : 0;
    return { jaccard: both / (truth.length + parsed.labels.length - both), short };
  }

  // `recent` is the window of predictions, which this call adds to; `frequencies` the labels' shares among the training
  // studies.
  function nuanced(parsed, truth, text, s, recent, frequencies) {
    const bad = parsed.failed || !parsed.valid, named = parsed.labels;
    const form = {
      malformed: 0 - s.malformed * bad, unknown: 0 - s.invalid * parsed.unknown.length,
      duplicate: 0 - s.duplicate * parsed.duplicates, outside: 0 - s.outside * (parsed.outside !== ""),
    };
    if (bad) return { match: 0, recall: 0, precision: 0, false_positive: 0, repetition: 0, collapse: 0, ...form };
    recent.push(named);
    while (recent.length > s.window) recent.shift();
    const share = (name) => recent.filter((labels) => labels.includes(name)).length / s.window;
    const dominant = recent.length < s.window ? 0 : named.filter((name) => share(name) > s.dominance).length;
    const right = hits(named, truth), wrong = named.filter((name) => !truth.includes(name)).sort();
    const weight = sum(wrong.map((name) => frequencies[name] ?? 0)) / Math.max(...Object.values(frequencies));
    return {
      match: right === truth.length && right === named.length ? s.exact : 0,
      recall: (s.recall * right) / truth.length, precision: (s.precision * right) / named.length,
      false_positive: 0 - s.false_positive * weight, repetition: 0 - s.repetition * dominant,
      collapse: 0 - s.collapse * (dominant > 0), ...form,
    };
  }

  const advantages = (rewards) => rewards.map((reward) => reward - mean(rewards));
  Object.assign(LAB, { parse, hard, nuanced, total, advantages, length, sum, mean });
})();
