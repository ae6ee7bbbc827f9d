/* Live refresh: what htmx swaps by itself neither takes the keyboard's focus away nor moves anything under the cursor. */
"use strict";

(() => {
  const REST_MS = 10000; // a pointer that lies still for longer is not about to click
  const HANDLES = "a[href], button, input, select, textarea, summary, [tabindex]";
  let pointer = { x: -1, y: -1, at: -Infinity };
  let held = null; // the focused thing, as it is found again

  document.addEventListener("pointermove", ({ clientX, clientY, pointerType, timeStamp }) => {
    if (pointerType === "mouse") pointer = { x: clientX, y: clientY, at: timeStamp };
  }, { passive: true });

  const nameOf = (element) => element.id || element.getAttribute("href") || element.name
    || (element.matches("a, button, summary") ? element.textContent.trim() : element.tagName);
  const handlesIn = (root) => [...root.querySelectorAll(HANDLES)];
  const namesIn = (root) => handlesIn(root).map(nameOf).join("\n");

  function isPoll({ requestConfig }) {
    return !requestConfig.triggeringEvent && requestConfig.elt.getAttribute("hx-trigger")?.includes("every ");
  }

  /* Half a sentence in a field, or words marked to be copied, would be lost. */
  function isInUse(area) {
    const fields = [...area.querySelectorAll("input:not([type=hidden]), textarea")];
    const selection = document.getSelection();
    return fields.some((field) => field.value !== field.defaultValue)
      || (!selection.isCollapsed && area.contains(selection.anchorNode));
  }

  function isUnderPointer(area) {
    return performance.now() - pointer.at < REST_MS && area.contains(document.elementFromPoint(pointer.x, pointer.y));
  }

  function wouldMove(area, html) {
    return namesIn(area) !== namesIn(new DOMParser().parseFromString(html, "text/html"));
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, xhr, shouldSwap } = event.detail;
    if (!shouldSwap || !isPoll(event.detail)) return;
    if (isInUse(target) || (isUnderPointer(target) && wouldMove(target, xhr.response))) {
      event.detail.shouldSwap = false; // the next round brings it
      return;
    }
    held = hold(target);
  });

  /* By its name, and by its place among those of the same name: a card and a row may lead to the same page. */
  function hold(target) {
    const active = document.activeElement;
    if (!target.contains(active) || !active.matches(HANDLES)) return null;
    const around = target.parentElement;
    const alike = handlesIn(around).filter((one) => nameOf(one) === nameOf(active));
    return { around, name: nameOf(active), index: alike.indexOf(active) };
  }

  document.addEventListener("htmx:afterSwap", () => {
    if (held && document.activeElement === document.body) {
      const alike = handlesIn(held.around).filter((one) => nameOf(one) === held.name);
      (alike[held.index] || alike[0])?.focus({ preventScroll: true });
    }
    held = null;
  });
})();
