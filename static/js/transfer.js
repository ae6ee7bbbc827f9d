/* One file on its way by tus 1.0: pause, retries for as long as the page is open, and going on after it was left. */
"use strict";

const CHUNK = 64 * 1024 * 1024;
const BACKOFF_SECONDS = [1, 2, 4, 8, 16, 30];
const SILENCE_SECONDS = 45; // with nothing sent the line is dead, though nobody has said so: a closed lid, another network
const ANSWER_SECONDS = 600; // with all sent: putting a large file away takes the server minutes
const SPEED_SECONDS = 8; // what the speed is an average of
const SAMPLE = 64 * 1024;
const STORED = "slipway-upload:";

/* States: waiting, sending, retrying (the server asks for patience), offline, paused, done, failed. */
class Transfer {
  constructor(file, name, place) {
    Object.assign(this, { file, name, place, state: "waiting", offset: 0, reason: "", tries: 0, turn: 0, url: "", samples: [] });
    this.onchange = () => {};
  }

  get id() { return this.url.replace(/\/$/, "").split("/").pop(); }

  /* Bytes a second over the last seconds of sending; 0 until that can be said. */
  get speed() {
    const first = this.samples[0], last = this.samples[this.samples.length - 1];
    return this.state === "sending" && first && last.time - first.time > 1500 ? (last.at - first.at) / (last.time - first.time) * 1000 : 0;
  }

  /* Ask for the room before a byte is sent, so that a refusal comes at once. What was begun before is found again. */
  reserve() {
    this.reserved ??= this.begin().catch((problem) => {
      this.reserved = null;
      throw problem;
    });
    return this.reserved;
  }

  async begin() {
    this.print ||= await printOf(this.file, this.name, this.place.project);
    this.url ||= recall(this.print)?.url || "";
    if (!this.url) await this.create();
  }

  async run() {
    const turn = ++this.turn;
    this.move("sending");
    try {
      await this.reserve();
      if (turn === this.turn) await this.find();
      while (turn === this.turn && !this.isWhole) await this.sendChunk();
      if (turn === this.turn) this.move("done");
    } catch (problem) {
      if (turn === this.turn) await this.recover(problem, turn);
    }
  }

  async create() {
    const metadata = { filename: this.name, project: this.place.project };
    const told = Object.entries(metadata).map(([name, value]) => `${name} ${base64(value)}`).join(",");
    const answer = await this.call("POST", this.place.url, { "Upload-Length": this.file.size, "Upload-Metadata": told });
    this.url = answer.getResponseHeader("Location");
    this.note();
  }

  async find() {
    const answer = await this.call("HEAD", this.url, {});
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.isWhole = false; // even with all bytes there, a last empty piece asks the server to put them away
    this.progress(this.offset);
  }

  async sendChunk() {
    const from = this.offset;
    const piece = this.file.slice(from, from + CHUNK);
    const headers = { "Upload-Offset": from, "Content-Type": "application/offset+octet-stream" };
    const answer = await this.call("PATCH", this.url, headers, piece, (sent) => this.progress(from + sent));
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.isWhole = this.offset >= this.file.size;
    this.tries = 0;
  }

  call(method, url, headers, body = null, onprogress = null) {
    return new Promise((resolve, reject) => {
      const xhr = new XMLHttpRequest();
      xhr.open(method, url);
      xhr.setRequestHeader("Tus-Resumable", "1.0.0");
      xhr.setRequestHeader("X-CSRFToken", this.place.token);
      for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
      if (onprogress) {
        this.xhr = xhr;
        xhr.upload.onprogress = (event) => {
          onprogress(event.loaded);
          this.watch(xhr, event.loaded < event.total ? SILENCE_SECONDS : ANSWER_SECONDS);
        };
        this.watch(xhr, SILENCE_SECONDS);
      } else xhr.timeout = SILENCE_SECONDS * 1000;
      xhr.onload = () => (xhr.status < 300 ? resolve(xhr) : reject(xhr));
      xhr.onerror = xhr.ontimeout = xhr.onabort = () => reject(null);
      xhr.onloadend = () => this.watch(null);
      xhr.send(body);
    });
  }

  /* Give a line up that has taken nothing for a while. Once all is sent (or lies in buffers), the server may take its time. */
  watch(xhr, seconds) {
    clearTimeout(this.watchdog);
    if (xhr) this.watchdog = setTimeout(() => xhr.abort(), seconds * 1000);
  }

  /* Gone: begin anew. Refused: say why. Anything else may be better in a moment. */
  async recover(problem, turn = this.turn) {
    const status = problem?.status || 0;
    if ((status === 404 || status === 410) && this.url) {
      this.forget();
      this.move("waiting");
    } else if (isRefusal(status)) {
      this.fail(detailOf(problem));
    } else if (!status && !(await isReadable(this.file))) {
      this.fail(this.place.words.unreadable);
    } else if (turn === this.turn) {
      const wait = BACKOFF_SECONDS[Math.min(this.tries++, BACKOFF_SECONDS.length - 1)];
      this.timer = setTimeout(() => this.run(), wait * 1000);
      this.reason = status && this.tries > 3 ? detailOf(problem) : "";
      this.move(status ? "retrying" : "offline");
    }
  }

  /* The network is back, or somebody looks at the page again: no reason to wait any longer. */
  wake() {
    if (this.state !== "retrying" && this.state !== "offline") return;
    clearTimeout(this.timer);
    this.tries = 0;
    this.run();
  }

  progress(at) {
    const time = performance.now();
    const last = this.samples[this.samples.length - 1];
    this.offset = at;
    if (last && time - last.time < 250) return;
    this.samples.push({ time, at });
    while (time - this.samples[0].time > SPEED_SECONDS * 1000) this.samples.shift();
    this.onchange();
  }

  pause() {
    this.stop();
    this.move("paused");
  }

  cancel() {
    this.stop();
    const url = this.url;
    this.forget();
    if (url) this.call("DELETE", url, {}).catch(() => {}); // unsent, it expires by itself
  }

  stop() {
    this.turn++;
    clearTimeout(this.timer);
    this.xhr?.abort();
  }

  fail(reason) {
    this.reason = reason;
    this.move("failed");
  }

  note() {
    const { url, name } = this;
    localStorage.setItem(this.print, JSON.stringify({ url, name, size: this.file.size, isDone: this.state === "done" }));
  }

  forget() {
    if (this.print) localStorage.removeItem(this.print);
    Object.assign(this, { url: "", reserved: null, offset: 0 });
  }

  move(state) {
    this.state = state;
    this.samples = [];
    if (state === "done") {
      this.offset = this.file.size;
      this.note();
    }
    this.onchange();
  }
}

/* What was begun in this browser and has not arrived: [{ url, name, size, print }]. */
function remembered(project) {
  const prints = Object.keys(localStorage).filter((print) => print.startsWith(`${STORED}${project}:`));
  return prints.map((print) => ({ ...recall(print), print })).filter((entry) => entry.url && !entry.isDone);
}

function recall(print) {
  try {
    return JSON.parse(localStorage.getItem(print));
  } catch {
    return null;
  }
}

/* Name, size and a digest of ten samples, the first and the last bytes among them: no other file is ever glued on. */
async function printOf(file, name, project) {
  const step = Math.max(file.size - SAMPLE, 0) / 9;
  const samples = Array.from({ length: 10 }, (_, number) => file.slice(Math.floor(number * step), Math.floor(number * step) + SAMPLE));
  const bytes = new Uint8Array(await new Blob(samples).arrayBuffer());
  let [a, b] = [0xdeadbeef, 0x41c6ce57]; // cyrb53: subtle.crypto is not there over plain HTTP
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 2654435761);
    b = Math.imul(b ^ byte, 1597334677);
  }
  const digest = [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  return `${STORED}${project}:${name}:${file.size}:${digest}`;
}

async function isReadable(file) {
  try {
    return Boolean(await file.slice(0, 1).arrayBuffer());
  } catch {
    return false;
  }
}

function isRefusal(status) {
  return status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status);
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

globalThis.slipwayTransfers = { Transfer, remembered, isRefusal };
