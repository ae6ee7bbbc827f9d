/* Runs before the first paint: turns the theme "system" into light or dark, and follows the system when it changes. */
"use strict";

(() => {
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");

  function apply() {
    const chosen = root.dataset.theme;
    const isDark = chosen === "dark" || (chosen !== "light" && prefersDark.matches);
    root.dataset.bsTheme = isDark ? "dark" : "light";
    document.dispatchEvent(new CustomEvent("slipway:theme"));
  }

  prefersDark.addEventListener("change", apply);
  document.addEventListener("slipway:choose-theme", (event) => {
    root.dataset.theme = event.detail;
    apply();
  });
  apply();
})();
