/* The drop zone: files and folders in, one line a file, and the version made of them once all have arrived. */
"use strict";

const { Transfer, remembered, isRefusal } = globalThis.slipwayTransfers;
const AT_ONCE = 2;
const COMPANIONS = /^(readme|model_?card)\.md$|^labels\.(txt|json)$|^example\.json$/i;
const LITTER = /(^|\/)(\.|__MACOSX(\/|$)|Thumbs\.db$|desktop\.ini$)/i; // what desktops and version control leave in folders
const BUSY = new Set(["sending", "retrying", "offline"]);
const FINISHED = new Set(["done", "failed"]);

for (const form of document.querySelectorAll("[data-upload]")) start(form);

function start(form) {
  const words = JSON.parse(document.getElementById("upload-words").textContent);
  const list = form.querySelector("[data-files]");
  const send = form.querySelector("[data-send]");
  const note = form.querySelector("[data-note]");
  const place = { url: form.dataset.uploads, project: form.dataset.project, max: Number(form.dataset.max), token: form.elements.csrfmiddlewaretoken.value, words };
  const transfers = [];
  let isWaiting = false;

  for (const input of form.querySelectorAll("input[type=file]")) {
    input.removeAttribute("name"); // the bytes go their own way; the form carries only ids
    input.addEventListener("change", () => {
      for (const file of input.files) add(file, file.webkitRelativePath || file.name);
      input.value = "";
    });
  }
  form.addEventListener("input", (event) => event.target.name === "model" && tellStanding());
  tellStanding();
  wireDropZone(form.querySelector("[data-drop]"), add);
  offerUnfinished(form, place);
  for (const event of ["online", "visibilitychange"]) {
    (event === "online" ? window : document).addEventListener(event, () => {
      if (!document.hidden) transfers.forEach((transfer) => transfer.wake());
    });
  }

  form.addEventListener("submit", (event) => {
    const unfinished = transfers.filter((transfer) => transfer.state !== "done");
    form.elements.uploads.value = transfers.map((transfer) => transfer.id).join(" ");
    if (!unfinished.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    isWaiting = !unfinished.some((transfer) => transfer.state === "failed") && form.reportValidity();
    note.textContent = isWaiting ? "" : words.failedFirst;
    refresh();
  }, true);
  form.addEventListener("htmx:beforeOnLoad", (event) => { // the last event before the page changes to the version's
    if (event.detail.xhr.status < 300) transfers.forEach((transfer) => transfer.forget());
  });
  window.addEventListener("beforeunload", (event) => {
    if (transfers.some((transfer) => BUSY.has(transfer.state))) event.preventDefault();
  });

  function add(file, path) {
    if (path.includes("/") && (LITTER.test(path) || file.size === 0)) return; // nothing that a model needs
    const line = form.querySelector("template[data-line]").content.firstElementChild.cloneNode(true);
    list.append(line);
    const transfer = new Transfer(file, cleanName(path), place);
    const isTwice = transfers.some((other) => other.name.toLowerCase() === transfer.name.toLowerCase());
    transfer.onchange = () => { show(line, transfer, words); refresh(); };
    transfers.push(transfer);
    line.querySelector("[data-pause]").addEventListener("click", () => transfer.pause());
    line.querySelector("[data-resume]").addEventListener("click", () => { transfer.state = "waiting"; refresh(); });
    line.querySelector("[data-cancel]").addEventListener("click", () => {
      transfer.cancel();
      transfers.splice(transfers.indexOf(transfer), 1);
      line.remove();
      refresh();
    });
    if (file.size === 0) transfer.fail(words.empty);
    else if (file.size > place.max) transfer.fail(words.tooLarge);
    else if (isTwice) transfer.fail(words.twice);
    else reserve(transfer);
    guessModel();
    show(line, transfer, words);
    refresh();
  }

  /* All ask for their room at once; a refusal is seen before the others have sent anything. */
  function reserve(transfer) {
    transfer.reserve().then(() => settleUnfinished(form, transfer.url), (problem) => {
      if (isRefusal(problem?.status) && transfer.state === "waiting") transfer.recover(problem);
    });
  }

  function refresh() {
    const busy = transfers.filter((transfer) => BUSY.has(transfer.state)).length;
    for (const next of transfers.filter((transfer) => transfer.state === "waiting").slice(0, AT_ONCE - busy)) next.run();
    list.hidden = transfers.length === 0;
    form.classList.toggle("has-files", transfers.length > 0);
    if (!transfers.some((transfer) => transfer.state === "failed")) note.textContent = "";
    const isOver = isWaiting && transfers.every((transfer) => FINISHED.has(transfer.state));
    if (isOver) isWaiting = false;
    send.disabled = isWaiting;
    send.querySelector("[data-word]").textContent = isWaiting ? words.sendLater : words.send;
    if (isOver) form.requestSubmit(send);
  }

  /* The name of the folder, or of the largest file that is no companion, plain; never over what somebody typed. */
  function guessModel() {
    const field = form.elements.model;
    if (field.value && field.dataset.guess !== field.value) return;
    const files = transfers.filter((transfer) => !COMPANIONS.test(transfer.name)).sort((a, b) => b.file.size - a.file.size);
    if (!files.length) return;
    const base = files[0].name.split("/")[0].replace(/(\.[A-Za-z0-9]{1,8}){1,2}$/, "");
    const guess = base.toLowerCase().replace(/[-_.]v\d+(\.\d+)*$/, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "");
    field.value = field.dataset.guess = guess.slice(0, 64);
    tellStanding();
  }

  /* Before anything is made: whether this name is a model's already, or none that a model can have */
  function tellStanding() {
    const field = form.elements.model;
    const isKnown = [...document.getElementById("known-models").options].some((option) => option.value === field.value);
    const said = field.validity.patternMismatch ? field.title : isKnown ? words.known : words.unknown;
    form.querySelector("[data-standing]").textContent = field.value ? said : "";
  }
}

function show(line, transfer, words) {
  const { state, file, offset, speed, reason } = transfer;
  line.dataset.state = state;
  line.querySelector("[data-name]").textContent = transfer.name;
  const about = [];
  if (state === "done") about.push(words.done, size(file.size));
  else if (state === "failed") about.push(reason || words.failed);
  else if (state === "sending" && offset === file.size) about.push(words.storing, size(file.size));
  else {
    about.push(words[state], words.of.replace("{done}", size(offset)).replace("{size}", size(file.size)));
    if (speed) about.push(`${size(speed)}/s`, words.left.replace("{time}", time((file.size - offset) / speed)));
    if (state === "retrying" && reason) about.push(reason);
  }
  const isRenamed = transfer.name.split("/").pop() !== file.name;
  if (isRenamed && state !== "failed") about.push(words.renamed.replace("{name}", file.name));
  line.querySelector("[data-about]").textContent = about.join(" · ");
  const bar = line.querySelector("progress");
  bar.max = file.size || 1;
  bar.value = offset;
  bar.ariaLabel = transfer.name;
  line.querySelector("[data-pause]").hidden = !BUSY.has(state) && state !== "waiting";
  line.querySelector("[data-resume]").hidden = state !== "paused";
}

/* What did not arrive last time, as far as the server still has it: to go on with, or to give up. */
function offerUnfinished(form, place) {
  for (const entry of remembered(place.project)) {
    const left = new Transfer({ size: entry.size }, entry.name, place);
    Object.assign(left, { url: entry.url, print: entry.print });
    left.find().then(() => offer(form, place.words, entry, left), (problem) => {
      if (isRefusal(problem?.status)) left.forget();
    });
  }
}

function offer(form, words, entry, left) {
  const line = form.querySelector("template[data-left]").content.firstElementChild.cloneNode(true);
  line.dataset.url = entry.url;
  const come = words.of.replace("{done}", size(left.offset)).replace("{size}", size(entry.size));
  line.querySelector("[data-about]").textContent = words.unfinished.replace("{name}", entry.name).replace("{come}", come);
  line.querySelector("[data-choose]").addEventListener("click", () => form.querySelector("#upload-files").click());
  line.querySelector("[data-forget]").addEventListener("click", () => {
    left.cancel();
    line.remove();
  });
  form.querySelector("[data-unfinished]").append(line);
}

/* The same file was added again: its offer has served. */
function settleUnfinished(form, url) {
  for (const line of form.querySelectorAll("[data-unfinished] > *")) if (line.dataset.url === url) line.remove();
}

/* Files and folders dropped anywhere on the zone. */
function wireDropZone(zone, add) {
  const toggle = (isOver) => (event) => {
    event.preventDefault();
    zone.classList.toggle("is-over", isOver);
  };
  zone.addEventListener("dragenter", toggle(true));
  zone.addEventListener("dragover", toggle(true));
  zone.addEventListener("dragleave", toggle(false));
  zone.addEventListener("drop", (event) => {
    toggle(false)(event);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    if (entries.every(Boolean)) entries.forEach((entry) => walk(entry, add));
    else for (const file of event.dataTransfer.files) add(file, file.name);
  });
}

function walk(entry, add, folder = "") {
  if (entry.isFile) {
    entry.file((file) => add(file, folder + file.name));
    return;
  }
  const reader = entry.createReader();
  const more = () => reader.readEntries((children) => { // a reader gives at most a hundred at a time
    if (!children.length) return;
    children.forEach((child) => walk(child, add, `${folder}${entry.name}/`));
    more();
  });
  more();
}

/* The names that the server takes: letters, digits, dot, dash, underscore, and slashes between folders. */
function cleanName(path) {
  const parts = path.split("/").map((part) =>
    part.normalize("NFKD").replace(/[^\w.-]+/g, "-").replace(/-+(?=[._]|$)/g, "").replace(/^[.-]+|[.]+$/g, "").slice(-128));
  return parts.filter(Boolean).join("/") || "file";
}

function size(bytes) {
  const step = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4);
  return `${(bytes / 1024 ** step).toFixed(step && bytes < 100 * 1024 ** step ? 1 : 0)} ${["B", "KB", "MB", "GB", "TB"][step]}`;
}

function time(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}
