/* The frame's behaviour: drawer, theme choice, copy buttons, times, tables on phones, toasts, confirmations, htmx's answers. */
"use strict";

(() => {
  const body = document.body;
  const TOAST_MS = 6000;
  const UNDO_MS = 20000; // a toast with a way back leaves time to read, think and reach it

  /* One listener for all clicks: things that arrive later need no wiring. */
  const CLICKS = {
    "[data-rail-open]": () => setRail(true),
    "[data-rail-close]": () => setRail(false),
    "[data-toast-close]": (button) => dismiss(button.closest("[data-toast]")),
    "[data-copy]": copy,
    "[data-theme-choice] button": (button) => {
      document.dispatchEvent(new CustomEvent("slipway:choose-theme", { detail: button.value }));
    },
    "[data-back]": () => history.back(),
  };

  document.addEventListener("click", (event) => {
    for (const [selector, act] of Object.entries(CLICKS)) {
      const found = event.target.closest(selector);
      if (found) act(found);
    }
  });

  /* Drawer on phones */
  function setRail(isOpen) {
    body.classList.toggle("rail-open", isOpen);
    for (const button of document.querySelectorAll("[data-rail-open]")) button.ariaExpanded = String(isOpen);
    if (isOpen) document.querySelector(".rail a, .rail button")?.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && body.classList.contains("rail-open")) {
      setRail(false);
      document.querySelector("[data-rail-open]")?.focus();
    }
  });

  /* Copy buttons */
  async function copy(button) {
    if (!(await writeClipboard(button.dataset.copy))) return;
    button.classList.add("is-done");
    const label = button.ariaLabel;
    button.ariaLabel = button.dataset.done || label;
    setTimeout(() => {
      button.classList.remove("is-done");
      button.ariaLabel = label;
    }, 1500);
  }

  /* Over plain HTTP to another machine the clipboard API is absent: fall back to a selected text area. */
  async function writeClipboard(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "visually-hidden";
      (document.querySelector("dialog[open]") || body).append(area);
      area.select();
      const isCopied = document.execCommand("copy");
      area.remove();
      return isCopied;
    }
  }

  /* Times: relative ones are rewritten as they age, times of day are the reader's own; exact on hover */
  const UNITS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
  const soon = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  const clocks = Object.fromEntries(Object.entries({
    second: { timeStyle: "medium" }, minute: { timeStyle: "short" }, day: { dateStyle: "medium", timeStyle: "short" },
  }).map(([form, style]) => [form, new Intl.DateTimeFormat(document.documentElement.lang, { ...style, hourCycle: "h23" })]));
  const exact = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });

  function sayTime(at) {
    const seconds = (at - Date.now()) / 1000;
    for (const [unit, size] of UNITS) {
      const count = seconds > 0 ? Math.round(seconds / size) : Math.trunc(seconds / size);
      if (count) return relative.format(count, unit);
    }
    return soon.format(0, "second");
  }

  function refreshTimes(root = document) {
    for (const time of root.querySelectorAll("time[data-relative], time[data-clock]")) {
      const at = new Date(time.dateTime);
      time.textContent = time.dataset.clock ? clocks[time.dataset.clock].format(at) : sayTime(at);
      if (!time.dataset.exact) time.title = time.dataset.exact = exact.format(at);
    }
  }

  refreshTimes();
  setInterval(refreshTimes, 20000);

  /* Tables: on a phone each row is a small card, and each cell stands beside the name of its column */
  function nameCells(root = document) {
    for (const table of root.querySelectorAll(".table-responsive > table")) {
      const names = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent.trim());
      for (const row of [...table.tBodies].flatMap((part) => [...part.rows])) {
        let column = 0;
        for (const cell of row.cells) {
          cell.dataset.column = cell.colSpan === 1 ? names[column] ?? "" : "";
          column += cell.colSpan;
        }
      }
    }
  }

  nameCells();

  /* Toasts: successes leave by themselves, problems stay until they are closed */
  function dismiss(toast) {
    if (!toast) return;
    toast.classList.add("is-leaving");
    setTimeout(() => toast.remove(), 180);
  }

  function armToasts() {
    for (const toast of document.querySelectorAll("#toasts .tone-ok:not([data-armed])")) {
      toast.dataset.armed = "";
      leaveAfter(toast, toast.querySelector("form") ? UNDO_MS : TOAST_MS);
    }
  }

  /* Not while it is pointed at or holds the focus */
  function leaveAfter(toast, wait) {
    setTimeout(() => (toast.matches(":hover, :focus-within") ? leaveAfter(toast, TOAST_MS) : dismiss(toast)), wait);
  }

  function showProblem(text) {
    const toast = document.createElement("div");
    toast.className = "toast-note tone-bad";
    toast.setAttribute("role", "alert");
    toast.dataset.toast = "";
    const words = document.createElement("div");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "toast-close";
    close.dataset.toastClose = "";
    close.textContent = "×";
    toast.append(words, close);
    document.getElementById("toasts")?.append(toast);
  }

  armToasts();
  for (const button of document.querySelectorAll("[data-back][hidden]")) button.hidden = history.length < 2;

  /* Switches that send their form at once: <select data-submit> */
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  /* Dangerous buttons ask: <form data-confirm="Revoke this key?"> */
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  }, true);

  /* <dialog> opened by <button data-dialog="id">, closed by data-dialog-close or a click beside it */
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    if (event.target.closest("[data-dialog-close]") || event.target.matches("dialog[data-light]")) {
      event.target.closest("dialog")?.close();
    }
  });

  document.querySelector("dialog[data-open]")?.showModal();

  /* htmx: a problem answers as a toast and leaves the page alone; an expired session goes to sign-in */
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname === body.dataset.login && location.pathname !== body.dataset.login) {
      event.detail.shouldSwap = false;
      location.reload();
    } else if (xhr.status >= 400 && /^\s*<!doctype/i.test(xhr.response)) {
      event.detail.shouldSwap = false;
      showProblem(`${body.dataset.broken} ${xhr.getResponseHeader("X-Request-ID") || xhr.status}`);
    } else if (xhr.status >= 400 && xhr.response.includes("data-problem")) {
      event.detail.target = document.getElementById("toasts");
      event.detail.swapOverride = "beforeend";
      event.detail.shouldSwap = true;
    }
  });
  document.addEventListener("htmx:configRequest", (event) => {
    /* what a page asks by itself keeps nobody signed in */
    if (event.detail.triggeringEvent?.type === "hx:poll:trigger") event.detail.headers["X-Poll"] = "1";
  });
  document.addEventListener("htmx:sendError", () => showProblem(body.dataset.lost));
  document.addEventListener("htmx:afterSettle", (event) => {
    const changed = event.target.parentElement || document;
    refreshTimes(changed);
    nameCells(changed);
    armToasts();
  });
})();
