// Every drawn figure of the book can be taken along as SVG or PNG, with its title, source and page, on white; its data
// are beside it already. Without this script the figures are whole.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg", GAP = 16, LINE = 15, INK = "#1a1a1a";
  const element = (name, about, text = "") => {
    const made = document.createElementNS(SVG, name);
    Object.entries(about).forEach(([key, value]) => made.setAttribute(key, value));
    made.textContent = text;
    return made;
  };
  // About as many characters as fit into the width, of type of a size.
  const broken = (text, width, size) => text.match(new RegExp(`.{1,${Math.floor(width / size / 0.55)}}(\\s|$)`, "g")) ?? [];

  function whole(figure, title) {
    const panels = [...figure.querySelectorAll(".cxr-panels svg")], boxes = panels.map((one) => one.viewBox.baseVal);
    const columns = panels.length > 1 ? 2 : 1, wide = Math.max(...boxes.map((box) => box.width));
    const width = columns * (wide + GAP) + GAP, badges = [...figure.querySelectorAll(".cxr-tier, .cxr-fact")];
    const source = [badges.map((one) => one.innerText).join(" · "), `${document.title}, ${location.pathname.split("/").at(-1)}#${figure.id}`];
    const held = element("svg", { xmlns: SVG, "font-family": "Helvetica, Arial, sans-serif", color: INK, fill: INK });
    let y = GAP;
    const write = (text, size, weight) => broken(text, width - 2 * GAP, size).forEach((line) => {
      held.append(element("text", { x: GAP, y: y + size, "font-size": size, "font-weight": weight }, line.trim()));
      y += size * 1.35;
    });
    write(title, 13, "bold");
    for (let k = 0; k < panels.length; k += columns) {
      const row = panels.slice(k, k + columns);
      row.forEach((panel, column) => {
        const copy = panel.cloneNode(true), box = boxes[k + column];
        Object.entries({ x: GAP + column * (wide + GAP), y, width: box.width, height: box.height }).forEach(([key, value]) => copy.setAttribute(key, value));
        held.append(copy);
      });
      y += Math.max(...boxes.slice(k, k + columns).map((box) => box.height)) + GAP;
    }
    source.filter(Boolean).forEach((text) => write(text, 8, "normal"));
    const height = Math.ceil(y + LINE);
    held.prepend(element("rect", { width, height, fill: "#fff" }));
    Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height }).forEach(([key, value]) => held.setAttribute(key, value));
    return held;
  }

  const save = (name, href) => Object.assign(document.createElement("a"), { download: name, href }).click();
  const address = (svg) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
  function png(svg, name) {
    const image = new Image(), [width, height] = ["width", "height"].map((side) => 3 * Number(svg.getAttribute(side)));
    image.onload = () => {
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      canvas.getContext("2d").drawImage(image, 0, 0, width, height);
      save(name, canvas.toDataURL("image/png"));
    };
    image.src = address(svg);
  }

  document.querySelectorAll("figure.cxr").forEach((figure, k) => {
    if (!figure.querySelector(".cxr-panels svg") || figure.closest(".lab")) return;
    const bar = figure.querySelector(":scope > .cxr-take") ?? Object.assign(document.createElement("div"), { className: "cxr-take" });
    const heading = figure.closest("section")?.querySelector("h1, h2, h3")?.firstChild.textContent ?? "";
    const title = figure.querySelector(":scope > .cxr-head strong")?.innerText ?? heading;
    figure.id ||= `figure-${k + 1}`;
    const ways = { SVG: () => save(`${figure.id}.svg`, address(whole(figure, title))), PNG: () => png(whole(figure, title), `${figure.id}.png`) };
    for (const [kind, act] of Object.entries(ways)) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: kind, title: `save as ${kind}` });
      button.addEventListener("click", act);
      bar.append(button);
    }
    bar.append(Object.assign(document.createElement("a"), { href: `#${figure.id}`, textContent: "link", title: "this figure's address" }));
    if (!bar.isConnected) figure.querySelector(".cxr-panels").after(bar);
  });
})();
