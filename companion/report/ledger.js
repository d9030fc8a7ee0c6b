// Sorts and filters the ledger of claims. Without this script the whole table is there, and only the controls are not.
for (const ledger of document.querySelectorAll(".cxr-ledger:not([data-ready])")) {
  ledger.dataset.ready = "yes";
  const body = ledger.querySelector("tbody");
  const rows = [...body.rows];
  const controls = ledger.querySelector(".cxr-controls");
  const fields = [...controls.querySelectorAll("select, input")];
  const count = controls.querySelector("output");

  const filter = () => {
    const wanted = Object.fromEntries(fields.map((field) => [field.name, field.value.trim().toLowerCase()]));
    let shown = 0, readings = 0;
    for (const row of rows) {
      const words = row.textContent.toLowerCase();
      const fits = Object.entries(wanted).every(([name, value]) =>
        !value || (name === "words" ? value.split(/\s+/).every((word) => words.includes(word))
          : (row.dataset[name] ?? "").split("; ").includes(value)));
      row.hidden = !fits;
      shown += fits && !row.dataset.twin;
      readings += fits && !!row.dataset.twin;
    }
    count.textContent = `${shown} claims, ${readings} other readings of them`;
  };

  const sort = (heading, column) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of ledger.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
    const number = (text) => (text === "" ? -Infinity : Number(text));
    rows.sort((a, b) => {
      const [one, two] = [key(a), key(b)];
      const order = Number.isNaN(number(one) + 0) || Number.isNaN(number(two) + 0)
        ? one.localeCompare(two) : number(one) === number(two) ? 0 : number(one) - number(two);
      return down ? -order : order;
    });
    body.append(...rows);
  };

  // What is chosen stands in the address, to be sent on; a claim that an address leads to is not hidden.
  const link = () => history.replaceState(null, "", `#${new URLSearchParams(fields.map((field) => [field.name, field.value]))}`);
  const given = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const field of fields) {
    if (given.has(field.name)) field.value = given.get(field.name);
    if (field.matches("select") && field.selectedIndex < 0) field.selectedIndex = 0;
    field.addEventListener("input", () => {
      if (field.name !== "key") fields.find((other) => other.name === "key").value = "";
      filter();
      link();
    });
  }
  const found = location.hash.startsWith("#claim-") && document.getElementById(location.hash.slice(1));
  if (found) fields.find((field) => field.name === "key").value = "";
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(() => { filter(); link(); }));
  ledger.querySelectorAll("thead th").forEach((heading, column) => {
    heading.querySelector("button")?.addEventListener("click", () => sort(heading, column));
  });
  controls.hidden = false;
  filter();
  if (found) found.scrollIntoView();
}
