/* Search over everything: opened by "/" or ⌘K; pages of the rail are matched here, things are found by the server. */
"use strict";

(() => {
  const palette = document.getElementById("palette");
  if (!palette) return;
  const input = palette.querySelector("[data-palette-input]");
  const found = document.getElementById("palette-found");
  const pages = document.getElementById("palette-pages");
  const none = palette.querySelector(".palette-none");

  function open() {
    if (palette.open) return;
    input.value = "";
    found.replaceChildren();
    listPages();
    palette.showModal();
    input.focus();
  }

  function listPages() {
    const wanted = input.value.trim().toLowerCase();
    const links = [...document.querySelectorAll(".rail-link")].filter((link) => nameOf(link).toLowerCase().includes(wanted));
    pages.replaceChildren(...(links.length ? [titleOf(pages.dataset.title)] : []), ...links.map(itemFor));
    settle();
  }

  function nameOf(link) {
    return link.querySelector("span").textContent.trim();
  }

  function titleOf(text) {
    const title = document.createElement("p");
    title.className = "palette-title";
    title.textContent = text;
    return title;
  }

  function itemFor(link) {
    const item = document.createElement("a");
    item.className = "palette-item";
    item.href = link.href;
    item.setAttribute("role", "option");
    item.append(link.querySelector("svg").cloneNode(true), nameOf(link));
    return item;
  }

  function items() {
    return [...palette.querySelectorAll(".palette-item")];
  }

  function select(index) {
    const all = items();
    if (!all.length) return;
    const at = (index + all.length) % all.length;
    all.forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    all[at].scrollIntoView({ block: "nearest" });
  }

  function selected() {
    return items().findIndex((item) => item.getAttribute("aria-selected") === "true");
  }

  function settle() {
    none.hidden = items().length > 0;
    select(0);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette-open]")) open();
    if (event.target === palette) palette.close();
  });

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    const isAsked = (event.key === "/" && !isTyping) || (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey));
    if (!isAsked || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    open();
  });

  palette.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      select(selected() + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape") { // the search field would only empty itself
      palette.close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      items()[selected()]?.click();
    }
  });

  input.addEventListener("input", listPages);
  found.addEventListener("htmx:afterSettle", settle);
})();
