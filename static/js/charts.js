/* Draws every <div data-chart="id of its JSON"> with Plotly, in the page's colours, and redraws it in place on refresh. */
"use strict";

(() => {
  const LANGUAGE = document.documentElement.lang;
  const NARROW = 480; // px; the dates below six ticks would lie on each other
  const CONFIG = { locale: LANGUAGE, showSendToCloud: false, plotlyServerURL: "", displaylogo: false, responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "toImage"] };

  /* Plotly by itself speaks English: its tips get the page's words, and its dates become numbers without names of months. */
  function speak(words) {
    if (LANGUAGE === "en" || !window.Plotly) return;
    const dictionary = { Zoom: words.zoom, Pan: words.pan, "Zoom in": words.zoomIn, "Zoom out": words.zoomOut,
      "Reset axes": words.reset, "Double-click to zoom back out": words.back };
    const format = { date: "%Y-%m-%d", year: "%Y", month: "%Y-%m", dayMonth: "%m-%d", dayMonthYear: "%Y-%m-%d" };
    window.Plotly.register({ moduleType: "locale", name: LANGUAGE, dictionary, format });
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function axis(own) {
    return { gridcolor: colour("--sl-line"), linecolor: colour("--sl-line-strong"), zerolinecolor: colour("--sl-line"),
      tickfont: { color: colour("--sl-ink-2") }, automargin: true, ...own };
  }

  function dress(layout, height) {
    const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
    const dressed = {
      uirevision: "keep", height, margin: { l: 48, r: 14, t: 10, b: 34 }, showlegend: undefined, hovermode: "x unified",
      ...layout,
      template: "none", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colour("--sl-sans"), size: 12, color: colour("--sl-ink-2") },
      colorway: [1, 2, 3, 4, 5, 6].map((i) => colour(`--sl-series-${i}`)),
      hoverlabel: { bgcolor: colour("--sl-surface"), bordercolor: colour("--sl-line-strong"), font: { color: colour("--sl-ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--sl-ink-3"), activecolor: colour("--sl-ink"), ...layout.modebar },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { color: colour("--sl-ink-2") }, ...layout.legend },
    };
    for (const key of new Set(["xaxis", "yaxis", ...axes])) dressed[key] = axis(layout[key]);
    return dressed;
  }

  /* Times come in UTC ("…Z") and are drawn in the reader's own zone, since Plotly itself knows no zones. */
  const UTC = /^\d{4}-\d\d-\d\dT[\d:.]+Z$/;
  function local(text) {
    const at = new Date(text);
    return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, -1);
  }

  /* A colour given as "var(--sl-series-2)" is looked up, so that the server can name a colour without knowing the theme. */
  function resolve(value) {
    if (typeof value === "string" && UTC.test(value)) return local(value);
    if (typeof value === "string" && value.startsWith("var(--")) return colour(value.slice(4, -1));
    if (Array.isArray(value)) return value.map(resolve);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v)]));
    return value;
  }

  function draw(area) {
    const source = document.getElementById(area.dataset.chart);
    if (!source || !window.Plotly) return;
    const figure = JSON.parse(source.textContent);
    const height = Number(area.dataset.height) || undefined;
    if (area.clientWidth < NARROW && figure.layout?.xaxis?.nticks) figure.layout.xaxis.nticks = 4;
    window.Plotly.react(area, resolve(figure.data || []), resolve(dress(figure.layout || {}, height)), { ...CONFIG, ...figure.config });
    listen(area);
  }

  /* A point leads to what happened in its minute, or in its step where that is longer: <div data-moment="address">.
     Two clicks zoom out and lead nowhere, so the first waits for a second. */
  const DOUBLE_CLICK_MS = 320;
  function lead(area, point, event) {
    const figure = JSON.parse(document.getElementById(area.dataset.chart).textContent);
    const start = Math.floor(new Date(figure.data[point.curveNumber].x[point.pointIndex]) / 60000) * 60000;
    const end = start + Math.max(figure.layout.meta.step, 60) * 1000;
    const [from, to] = [start, end].map((at) => new Date(at).toISOString().replace(".000", ""));
    const address = `${area.dataset.moment}?from=${from}&to=${to}`;
    if (event.ctrlKey || event.metaKey) window.open(address, "_blank", "noopener");
    else location.assign(address);
  }

  function listen(area) {
    if (!area.dataset.moment || "listens" in area.dataset) return;
    area.dataset.listens = "";
    let waiting = 0;
    area.on("plotly_click", ({ points, event }) => {
      if (waiting) {
        waiting = clearTimeout(waiting);
        return;
      }
      waiting = setTimeout(() => {
        waiting = 0;
        lead(area, points[0], event);
      }, DOUBLE_CLICK_MS);
    });
  }

  function drawAll(root) {
    const areas = root.querySelectorAll ? [...root.querySelectorAll("[data-chart]")] : [];
    if (root.matches?.("[data-chart]")) areas.push(root);
    areas.forEach(draw);
  }

  /* A refresh that swaps only the JSON redraws the chart that names it, keeping zoom and hidden traces. */
  function redrawFor(root) {
    for (const source of root.querySelectorAll?.("script[type='application/json'][id]") || []) {
      for (const area of document.querySelectorAll(`[data-chart="${CSS.escape(source.id)}"]`)) draw(area);
    }
  }

  /* An own range is chosen in the reader's zone and asked for in UTC, which it stands in where no script runs. */
  function localise(root) {
    const zone = new Intl.DateTimeFormat(LANGUAGE, { timeZoneName: "short" }).formatToParts().find(({ type }) => type === "timeZoneName");
    for (const field of root.querySelectorAll?.("input[data-utc]") || []) field.value = local(field.dataset.utc).slice(0, 16);
    for (const name of root.querySelectorAll?.("[data-zone]") || []) name.textContent = zone.value;
  }

  document.addEventListener("formdata", ({ target, formData }) => {
    for (const field of target.querySelectorAll("input[data-utc]")) {
      formData.set(field.name, new Date(field.value).toISOString().slice(0, 19) + "Z");
    }
  });

  speak(document.currentScript.dataset);
  document.addEventListener("htmx:afterSettle", (event) => {
    localise(event.target);
    drawAll(event.target);
    redrawFor(event.target);
  });
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    if (event.target.matches?.(".js-plotly-plot")) window.Plotly?.purge(event.target);
  });
  document.addEventListener("slipway:theme", () => drawAll(document));
  localise(document);
  drawAll(document);
})();
