/* Uploads by tus 1.0: several files at once, each with progress, pause, retry, and going on after the page was left. */
"use strict";

const CHUNK = 64 * 1024 * 1024;
const AT_ONCE = 2;
const BACKOFF_SECONDS = [1, 2, 4, 8, 16, 30];
const COMPANIONS = /^(readme|model_?card)\.md$|^labels\.(txt|json)$|^example\.json$/i;
const FINISHED = new Set(["done", "failed"]);

for (const form of document.querySelectorAll("[data-upload]")) start(form);

function start(form) {
  const words = JSON.parse(document.getElementById("upload-words").textContent);
  const input = form.querySelector("input[type=file]");
  const list = form.querySelector("[data-files]");
  const row = form.querySelector("template");
  const send = form.querySelector("[data-send]");
  const note = form.querySelector("[data-note]");
  const place = { url: form.dataset.uploads, project: form.dataset.project, max: Number(form.dataset.max), token: form.elements.csrfmiddlewaretoken.value };
  const transfers = [];
  let isWaiting = false;

  input.removeAttribute("name"); // the bytes go their own way; the form carries only ids
  input.addEventListener("change", () => {
    for (const file of input.files) add(file, file.webkitRelativePath || file.name);
    input.value = "";
  });
  wireDropZone(form.querySelector("[data-drop]"), add);
  tellUnfinished();

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
    if (transfers.some((transfer) => transfer.state === "sending")) event.preventDefault();
  });

  function add(file, path) {
    const line = row.content.firstElementChild.cloneNode(true);
    list.append(line);
    const transfer = new Transfer(file, cleanName(path), place);
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
    guessModel();
    show(line, transfer, words);
    refresh();
  }

  function refresh() {
    const busy = transfers.filter((transfer) => transfer.state === "sending" || transfer.state === "retrying").length;
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

  /* The name of the largest file that is not a companion, without ending and version; never over what somebody typed. */
  function guessModel() {
    const field = form.elements.model;
    if (field.value && field.dataset.guess !== field.value) return;
    const files = transfers.filter((transfer) => !COMPANIONS.test(transfer.name)).sort((a, b) => b.file.size - a.file.size);
    if (!files.length) return;
    const base = files[0].name.split("/").pop().replace(/(\.[A-Za-z0-9]{1,8}){1,2}$/, "");
    const guess = base.toLowerCase().replace(/[-_.]v\d+(\.\d+)*$/, "").replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "");
    field.value = field.dataset.guess = guess.slice(0, 64);
  }

  function tellUnfinished() {
    const box = form.querySelector("[data-unfinished]");
    for (const entry of remembered(place.project)) {
      const line = document.createElement("p");
      line.textContent = words.unfinished.replace("{name}", entry.name);
      box.append(line);
    }
  }
}

/* One file on its way. States: waiting, sending, retrying, paused, done, failed. */
class Transfer {
  constructor(file, name, place) {
    Object.assign(this, { file, name, place, state: "waiting", offset: 0, speed: 0, reason: "", tries: 0, onchange: () => {} });
    this.print = `slipway-upload:${place.project}:${name}:${file.size}:${file.lastModified}`;
    this.url = remember(this.print)?.url || "";
  }

  get id() { return this.url.replace(/\/$/, "").split("/").pop(); }

  async run() {
    this.move("sending");
    try {
      if (this.url) await this.find(); else await this.create();
      do await this.sendChunk(); while (this.offset < this.file.size);
      this.move("done");
    } catch (problem) {
      this.recover(problem);
    }
  }

  async create() {
    const metadata = { filename: this.name, project: this.place.project };
    const told = Object.entries(metadata).map(([name, value]) => `${name} ${base64(value)}`).join(",");
    const answer = await this.call("POST", this.place.url, { "Upload-Length": this.file.size, "Upload-Metadata": told });
    this.url = answer.getResponseHeader("Location");
    this.offset = 0;
    this.note();
  }

  async find() {
    const answer = await this.call("HEAD", this.url, {});
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
  }

  async sendChunk() {
    const from = this.offset;
    const piece = this.file.slice(from, from + CHUNK);
    const headers = { "Upload-Offset": from, "Content-Type": "application/offset+octet-stream" };
    const answer = await this.call("PATCH", this.url, headers, piece, (sent) => this.progress(from + sent));
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.tries = 0;
  }

  call(method, url, headers, body = null, onprogress = null) {
    return new Promise((resolve, reject) => {
      const xhr = this.xhr = new XMLHttpRequest();
      xhr.open(method, url);
      xhr.setRequestHeader("Tus-Resumable", "1.0.0");
      xhr.setRequestHeader("X-CSRFToken", this.place.token);
      for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
      if (onprogress) xhr.upload.onprogress = (event) => onprogress(event.loaded);
      xhr.onload = () => (xhr.status < 300 ? resolve(xhr) : reject(xhr));
      xhr.onerror = xhr.ontimeout = () => reject(null);
      xhr.onabort = () => reject("aborted");
      xhr.send(body);
    });
  }

  /* Gone: begin anew. Refused: say why. Anything else may be better in a moment. */
  recover(problem) {
    if (problem === "aborted") return;
    const status = problem?.status || 0;
    if ((status === 404 || status === 410) && this.url) {
      this.forget();
      this.url = "";
      this.move("waiting");
    } else if (status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status)) {
      this.fail(detailOf(problem));
    } else {
      const wait = BACKOFF_SECONDS[Math.min(this.tries++, BACKOFF_SECONDS.length - 1)];
      this.timer = setTimeout(() => this.run(), wait * 1000);
      this.reason = status ? detailOf(problem) : "";
      this.move("retrying");
    }
  }

  progress(at) {
    const now = performance.now();
    const seconds = (now - (this.sampledAt ?? now)) / 1000;
    if (this.sampledAt && seconds < 0.25) return;
    if (this.sampledAt && at > this.sampled) {
      const speed = (at - this.sampled) / seconds;
      this.speed = this.speed ? this.speed * 0.7 + speed * 0.3 : speed;
    }
    Object.assign(this, { sampled: at, sampledAt: now, offset: at });
    this.onchange();
  }

  pause() {
    clearTimeout(this.timer);
    this.move("paused");
    this.xhr?.abort();
  }

  cancel() {
    clearTimeout(this.timer);
    this.xhr?.abort();
    this.forget();
    if (this.url) this.call("DELETE", this.url, {}).catch(() => {}); // unsent, it expires by itself
  }

  fail(reason) {
    this.reason = reason;
    this.move("failed");
  }

  note() { remember(this.print, { url: this.url, name: this.name, isDone: this.state === "done" }); }

  forget() { localStorage.removeItem(this.print); }

  move(state) {
    this.state = state;
    if (state !== "sending") Object.assign(this, { speed: 0, sampledAt: null });
    if (state === "done") {
      this.offset = this.file.size;
      this.note();
    }
    this.onchange();
  }
}

function show(line, transfer, words) {
  const { state, file, offset, speed, reason } = transfer;
  line.dataset.state = state;
  line.querySelector("[data-name]").textContent = transfer.name;
  const isRenamed = transfer.name.split("/").pop() !== file.name;
  const about = [];
  if (state === "done") about.push(words.done, size(file.size));
  else if (state === "failed") about.push(reason || words.failed);
  else {
    about.push(words[state], words.of.replace("{done}", size(offset)).replace("{size}", size(file.size)));
    if (speed) about.push(`${size(speed)}/s`, words.left.replace("{time}", time((file.size - offset) / speed)));
    if (state === "retrying" && reason) about.push(reason);
  }
  if (isRenamed && state !== "failed") about.push(words.renamed.replace("{name}", file.name));
  line.querySelector("[data-about]").textContent = about.join(" · ");
  const bar = line.querySelector("progress");
  bar.max = file.size || 1;
  bar.value = offset;
  bar.ariaLabel = transfer.name;
  line.querySelector("[data-pause]").hidden = !["sending", "retrying", "waiting"].includes(state);
  line.querySelector("[data-resume]").hidden = state !== "paused";
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

function remember(print, entry) {
  if (entry) localStorage.setItem(print, JSON.stringify(entry));
  try {
    return JSON.parse(localStorage.getItem(print));
  } catch {
    return null;
  }
}

function remembered(project) {
  const prints = Object.keys(localStorage).filter((print) => print.startsWith(`slipway-upload:${project}:`));
  return prints.map((print) => remember(print)).filter((entry) => entry && !entry.isDone);
}

function detailOf(xhr) {
  try {
    return JSON.parse(xhr.responseText).detail;
  } catch {
    return "";
  }
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
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
