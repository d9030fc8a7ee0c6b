// Exercises: edit, run, see each check. What is written stays in this browser; "hand in" saves it as a file.
// Without this script the page has the task, what to begin from, and the command that checks it.
"use strict";
(() => {
  const { node, button, memory, takeOver } = LAB.parts;
  const kept = (name) => memory.read(`exercise.${name}`);

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

  // All answers of this page, for `chexreason grade`.
  const download = () => {
    const names = new Set([...document.querySelectorAll(".lab-exercise")].map((other) => other.dataset.exercise));
    const answers = [...names].map((exercise) => {
      const { digest } = LAB.exercises[exercise], held = kept(exercise);
      return { exercise, digest, ...held, answer: String(held.answer ?? "") };
    });
    const file = URL.createObjectURL(new Blob([JSON.stringify({ answers }, null, 1)], { type: "application/json" }));
    const page = location.pathname.split("/").pop().replace(/\.html$/, "");
    node("a", { href: file, download: `${page}-answers.json` }).click();
    URL.revokeObjectURL(file);
  };

  takeOver("exercise", (root) => {
    const name = root.dataset.exercise, one = LAB.exercises[name], held = kept(name);
    const bar = node("div", { class: "lab-bar" }), out = node("div", { class: "lab-out", "aria-live": "polite" });
    const handIn = button("save this page's answers", download, { name: "hand-in" });
    const say = (text) => out.replaceChildren(node("p", {}, text));
    const mark = (right) => {
      root.dataset.right = right;
      root.querySelector(".lab-mark").textContent = right ? " ✓" : "";
    };
    const save = (change) => {
      memory.write(`exercise.${name}`, Object.assign(held, change, { digest: one.digest }));
      mark(held.right);
    };
    // What is there has not been checked: no mark stays on it.
    const changed = (answer) => {
      save({ answer, right: false });
      out.replaceChildren();
    };
    root.append({ starter: code, number, choice }[one.kind](), bar, out);
    mark(Boolean(held.right) && held.digest === one.digest);

    function code() {
      const { missing } = LAB.python;
      if (missing) {
        return node("p", { class: "lab-missing" }, `This book was built without Python for its pages: ${missing}. `
          + "Work with the command above, or build the book again with a network.");
      }
      let leaving = false;
      const indented = (event) => {
        if (event.key === "Tab" && !event.shiftKey && !leaving) {
          event.preventDefault();
          box.setRangeText("    ", box.selectionStart, box.selectionEnd, "end");
          changed(box.value);
        }
        leaving = event.key === "Escape";
      };
      const box = node("textarea", {
        class: "lab-code", spellcheck: "false", autocapitalize: "off",
        oninput: () => changed(box.value), onkeydown: indented,
        "aria-label": `Your code: ${one.title}. Escape, then Tab, leaves the box.` }, held.answer ?? one.starter);
      box.rows = Math.max(8, box.value.split("\n").length + 2);
      let busy = false;
      const turn = (now) => { // neither button is disabled, so that they keep the focus
        busy = now;
        go.setAttribute("aria-disabled", busy);
        stop.setAttribute("aria-disabled", !busy);
      };
      const run = async () => {
        const given = box.value;
        turn(true);
        try {
          const found = await LAB.runPython(given, one.checks, say);
          if (box.value === given) tell(found);
          else say("What is in the box was changed meanwhile: run it again.");
        } catch (error) {
          say(error.message);
          mark(false);
        }
        turn(false);
      };
      const go = button("run and check", () => busy || run(), { name: "run" });
      const stop = button("stop", () => busy && LAB.stopPython(), { name: "stop" });
      turn(false);
      const anew = () => { // as if typed, so that it can be undone with the keyboard
        box.focus();
        box.select();
        if (!document.execCommand("insertText", false, one.starter)) box.value = one.starter;
        changed(box.value);
      };
      bar.append(go, stop, button("begin anew", anew, { name: "anew" }), handIn);
      return box;
    }

    function tell({ output, error, checks }) {
      const right = !error && checks.length === one.checks.length && checks.every((check) => check.right);
      save({ right });
      const item = (check) => node("li", { "data-right": String(check.right) },
        node("strong", {}, check.right ? "✓ " : "✗ "), check.title,
        check.right ? "" : node("div", {}, check.hint, check.error ? node("code", {}, ` ${check.error}`) : ""));
      out.replaceChildren(output && node("pre", {}, output), error && node("p", { class: "lab-wrong" }, error),
        node("ul", { class: "lab-checks" }, checks.map(item)), node("p", {}, right ? "All checks pass." : ""));
    }

    function answered(answer) {
      const right = sealed(name, one, answer) === one.sealed;
      save({ answer, right });
      say(`${right ? "✓" : "✗"} ${one.remarks[answer] ?? (right ? "Right." : "Not yet.")}`);
    }

    function number() {
      const box = node("input", { type: "number", step: "any", name, "aria-label": one.title, value: held.answer ?? "",
        oninput: () => changed(box.value), onkeydown: (event) => event.key === "Enter" && answered(box.value) });
      bar.append(box, button("check", () => answered(box.value), { name: "run" }), handIn);
      return "";
    }

    function choice() {
      const choices = Object.keys(one.remarks).map((value) => node("label", {}, node("input", {
        type: "radio", name, value, checked: held.answer === value, onchange: () => answered(value) }), ` ${value}`));
      bar.append(handIn);
      const legend = node("legend", { class: "visually-hidden" }, one.title);
      return node("fieldset", { class: "lab-choices" }, legend, choices);
    }
  });
})();
