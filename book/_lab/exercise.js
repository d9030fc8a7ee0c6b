// Exercises: edit, run, see each check. What is written stays in this browser; "hand in" saves it as a file.
// Without this script the page has the task, what to begin from, and the command that checks it.
"use strict";
(() => {
  const { node, memory } = LAB.parts;
  const kept = (name) => memory.read(`exercise.${name}`), keep = (name, held) => memory.write(`exercise.${name}`, held);

  // An answer as `exercises.sealed` has it.
  const sealed = (name, one, answer) => {
    if (one.kind === "number") {
      if (answer.trim() === "" || !Number.isFinite(Number(answer))) return "";
      answer = Number(answer).toFixed(one.decimals);
    }
    let found = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(`${name}:${answer}`)) found = Math.imul(found ^ byte, 0x01000193) >>> 0;
    return found.toString(16).padStart(8, "0");
  };

  for (const root of document.querySelectorAll(".lab-exercise:not([data-ready])")) start(root);

  function start(root) {
    root.dataset.ready = "yes";
    const name = root.dataset.exercise, one = LAB.exercises[name], held = kept(name);
    const out = node("div", { class: "lab-out", "aria-live": "polite" });
    const say = (text) => out.replaceChildren(node("p", {}, text));
    const mark = (right) => { root.dataset.right = right; root.querySelector(".lab-mark").textContent = right ? " ✓" : ""; };
    const save = (change) => keep(name, Object.assign(held, change, { digest: one.digest }));
    // What is there has not been checked: no mark stays on it.
    const changed = (answer) => { save({ answer, right: false }); mark(false); out.replaceChildren(); };
    const buttons = node("div", { class: "lab-bar" });
    const field = { starter: code, number, choice }[one.kind]();
    root.append(field, buttons, out);
    root.querySelector(":scope > details")?.removeAttribute("open");
    mark(Boolean(held.right) && held.digest === one.digest);

    function code() {
      const missing = LAB.python.missing, box = node("textarea", { class: "lab-code", spellcheck: "false", autocapitalize: "off", "aria-label": `Your code: ${one.title}. Escape, then Tab, leaves the box.` });
      let leaving = false;
      box.value = held.answer ?? one.starter;
      box.rows = Math.max(8, box.value.split("\n").length + 2);
      box.addEventListener("input", () => changed(box.value));
      box.addEventListener("keydown", (event) => {
        if (event.key === "Tab" && !event.shiftKey && !leaving) {
          event.preventDefault();
          box.setRangeText("    ", box.selectionStart, box.selectionEnd, "end");
          changed(box.value);
        }
        leaving = event.key === "Escape";
      });
      if (missing) return node("p", { class: "lab-missing" }, `This book was built without Python for its pages: ${missing}. Work with the command above, or build the book again with a network.`);
      const busy = (now) => { go.setAttribute("aria-disabled", now); stop.setAttribute("aria-disabled", !now); }; // they keep the focus
      const stop = node("button", { type: "button", name: "stop", "aria-disabled": true, onclick: () => go.getAttribute("aria-disabled") === "true" && LAB.stopPython() }, "stop");
      const go = node("button", { type: "button", name: "run", "aria-disabled": false, onclick: async () => {
        if (go.getAttribute("aria-disabled") === "true") return;
        busy(true);
        const given = box.value;
        try {
          const found = await LAB.runPython(given, one.checks, say);
          if (box.value === given) tell(found);
          else say("What is in the box was changed meanwhile: run it again.");
        } catch (error) { say(error.message); mark(false); }
        busy(false);
      } }, "run and check");
      const anew = node("button", { type: "button", name: "anew", onclick: () => { box.value = one.starter; changed(box.value); } }, "begin anew");
      buttons.append(go, stop, anew, handIn());
      return box;
    }

    function tell(found) {
      const right = !found.error && found.checks.length === one.checks.length && found.checks.every((check) => check.right);
      save({ right });
      mark(right);
      out.replaceChildren(
        ...(found.output ? [node("pre", {}, found.output)] : []), ...(found.error ? [node("p", { class: "lab-wrong" }, found.error)] : []),
        node("ul", { class: "lab-checks" }, ...found.checks.map((check) => node("li", { "data-right": String(check.right) }, node("strong", {}, check.right ? "✓ " : "✗ "), check.title,
          check.right ? "" : node("div", {}, check.hint, check.error ? node("code", {}, ` ${check.error}`) : "")))),
        node("p", {}, right ? "All checks pass." : ""));
    }

    function answered(answer) {
      const right = sealed(name, one, answer) === one.sealed;
      save({ answer, right });
      mark(right);
      say(`${right ? "✓" : "✗"} ${one.remarks[answer] ?? (right ? "Right." : "Not yet.")}`);
    }

    function number() {
      const box = node("input", { type: "number", step: "any", name, "aria-label": one.title, value: held.answer ?? "",
        oninput: () => changed(box.value), onkeydown: (event) => event.key === "Enter" && answered(box.value) });
      buttons.append(box, node("button", { type: "button", name: "run", onclick: () => answered(box.value) }, "check"), handIn());
      return "";
    }

    function choice() {
      buttons.append(handIn());
      return node("fieldset", { class: "lab-choices" }, node("legend", { class: "visually-hidden" }, one.title), ...Object.keys(one.remarks).map((text) =>
        node("label", {}, node("input", { type: "radio", name, value: text, checked: held.answer === text, onchange: () => answered(text) }), ` ${text}`)));
    }

    // All answers of this page, for `chexreason grade`.
    function handIn() {
      return node("button", { type: "button", name: "hand-in", onclick: () => {
        const names = [...new Set([...document.querySelectorAll(".lab-exercise")].map((other) => other.dataset.exercise))];
        const answers = names.map((name) => ({ exercise: name, digest: LAB.exercises[name].digest, answer: "", ...kept(name) }));
        answers.forEach((answer) => { answer.answer = String(answer.answer); });
        const file = URL.createObjectURL(new Blob([JSON.stringify({ answers }, null, 1)], { type: "application/json" }));
        node("a", { href: file, download: `${location.pathname.split("/").pop().replace(/\.html$/, "")}-answers.json` }).click();
        URL.revokeObjectURL(file);
      } }, "save this page's answers");
    }
  }
})();
