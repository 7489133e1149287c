// A small tus 1.0 client: creates a resumable upload, sends it in pieces, and goes on where it stopped after a lost
// connection, a sleeping laptop or a page that was left. What has arrived is the server's word alone.
const VERSION = "1.0.0";
const PIECE = 8 * 1024 * 1024;
const WAITS = [500, 1000, 2000, 3000]; // the last one repeats: back within five seconds of the connection
const SILENCE = 20000; // a piece that moves for so long not at all is given up and asked about
const KEEP = "audsync-upload:";

export const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

function encoded(metadata) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(metadata)
    .filter(([, value]) => value !== "" && value !== null && value !== undefined)
    .map(([key, value]) => `${key} ${base64(String(value))}`)
    .join(",");
}

// What was begun in this browser, so that the same file goes on where it stopped. No content, only the file's facts.
export const begun = {
  key: (endpoint, file, metadata) => KEEP + [endpoint, file.name, file.size, file.lastModified, encoded(metadata)].join("|"),
  get(key) {
    try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
  },
  set(key, value) {
    try { localStorage.setItem(key, JSON.stringify(value)); } catch { /* without storage a left page starts anew */ }
  },
  drop(key) {
    try { localStorage.removeItem(key); } catch { /* as above */ }
  },
  list() {
    const day = 24 * 3600 * 1000;
    const found = [];
    try {
      for (const key of Object.keys(localStorage).filter((name) => name.startsWith(KEEP))) {
        const entry = begun.get(key);
        if (!entry || Date.now() - entry.at > day) localStorage.removeItem(key);
        else found.push({ key, ...entry });
      }
    } catch { /* no storage, nothing begun */ }
    return found;
  },
};

export class Refused extends Error {}
export class LoggedOut extends Refused {}

export class TusUpload {
  // `told` has progress(sent, total), state(word, text), done(uploadId): words are sending, waiting, paused, refused, logged out.
  constructor(file, { endpoint, metadata, told }) {
    Object.assign(this, { file, endpoint, metadata, told });
    this.key = begun.key(endpoint, file, metadata);
    this.location = begun.get(this.key)?.location ?? null;
    this.offset = 0;
    this.failures = 0;
    this.paused = false;
    this.ended = false;
    this.request = null;
    this.wake = null;
    addEventListener("online", () => this.wake?.());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.wake?.(); });
  }

  async run() {
    while (!this.ended) {
      if (this.paused) { await this.sleep(null); continue; }
      try {
        await this.step();
      } catch (error) {
        if (this.ended || this.paused) continue;
        if (error instanceof Refused) { this.ended = true; this.told.state(error instanceof LoggedOut ? "logged out" : "refused", error.message); return; }
        await this.afterLoss();
      }
    }
  }

  async step() {
    if (!this.location) await this.create();
    else if (this.unsure ?? true) await this.ask();
    if (this.ended || this.paused) return;
    await this.send(); // an empty piece at the end asks for what the whole file has become
  }

  async afterLoss() {
    this.unsure = true;
    const wait = WAITS[Math.min(this.failures, WAITS.length - 1)];
    this.failures += 1;
    this.told.state("waiting", navigator.onLine === false ? "There is no connection. It goes on by itself." : "The connection was lost. It goes on by itself.");
    await this.sleep(wait);
  }

  sleep(wait) {
    return new Promise((resolve) => {
      const timer = wait === null ? null : setTimeout(() => this.wake?.(), wait);
      this.wake = () => { clearTimeout(timer); this.wake = null; resolve(); };
    });
  }

  pause() {
    this.paused = true;
    this.unsure = true;
    this.request?.abort();
    this.told.state("paused", "Paused. What has arrived is kept.");
  }

  resume() {
    this.paused = false;
    this.failures = 0;
    this.told.state("sending", "");
    this.wake?.();
  }

  async giveUp() {
    this.ended = true;
    this.request?.abort();
    this.wake?.();
    begun.drop(this.key);
    if (this.location) await this.call("DELETE", this.location).catch(() => null); // else it ends by itself after a day
  }

  async create() {
    const answer = await this.call("POST", this.endpoint, { "Upload-Length": this.file.size, "Upload-Metadata": encoded(this.metadata) });
    if (answer.status !== 201) throw this.fault(answer);
    this.location = new URL(answer.getResponseHeader("Location"), location.href).pathname;
    this.offset = 0;
    this.unsure = false;
    begun.set(this.key, { location: this.location, name: this.file.name, size: this.file.size, at: Date.now() });
  }

  async ask() {
    const answer = await this.call("HEAD", this.location);
    if ([404, 410].includes(answer.status)) {
      begun.drop(this.key);
      this.location = null;
      return;
    }
    if (answer.status >= 400) throw this.fault(answer);
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.unsure = false;
    this.arrived(answer);
  }

  async send() {
    const from = this.offset;
    const answer = await this.call("PATCH", this.location, { "Upload-Offset": from, "Content-Type": "application/offset+octet-stream" }, this.file.slice(from, from + PIECE));
    if ([409, 423].includes(answer.status)) { // somebody else's piece, or our own that is still being written
      await this.sleep(WAITS[0]);
      this.unsure = true;
      return;
    }
    if (answer.status === 404 || answer.status === 410) { this.unsure = true; return; }
    if (answer.status >= 400) throw this.fault(answer);
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.arrived(answer);
    if (!this.ended && from >= this.file.size) throw new Error("whole, and not taken over yet");
    this.failures = 0;
  }

  arrived(answer) {
    this.told.progress(this.offset, this.file.size);
    const id = answer.getResponseHeader("Upload-Id");
    if (!id) return;
    this.ended = true;
    begun.drop(this.key);
    this.told.done(id);
  }

  fault(answer) {
    if (answer.status >= 500 && answer.status !== 507) return new Error(`${answer.status}`);
    if ([408, 429].includes(answer.status)) return new Error(`${answer.status}`);
    // What the API says of it is meant for programs, which log in by a call.
    if (answer.status === 401) return new LoggedOut("You are logged out. Log in and your choices are still here.");
    let text = "";
    try { text = JSON.parse(answer.responseText).error; } catch { /* no words from the server */ }
    return new Refused(text || `The server refused the file (${answer.status}).`);
  }

  call(method, url, headers = {}, body = null) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      let timer = null;
      const alive = () => { clearTimeout(timer); timer = setTimeout(() => request.abort(), SILENCE); };
      const end = (act) => (value) => { clearTimeout(timer); this.request = null; act(value); };
      request.open(method, url);
      request.setRequestHeader("Tus-Resumable", VERSION);
      request.setRequestHeader("X-CSRFToken", meta("csrf-token"));
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (body) {
        const from = this.offset;
        this.told.state("sending", "");
        request.upload.onprogress = (event) => { alive(); this.told.progress(from + event.loaded, this.file.size); };
        // Once all is out, the server may take its time to put it away.
        request.upload.onload = () => { clearTimeout(timer); timer = setTimeout(() => request.abort(), 6 * SILENCE); };
      }
      request.onload = end(() => resolve(request));
      request.onerror = end(() => reject(new Error("lost")));
      request.onabort = end(() => reject(new Error("stopped")));
      alive();
      request.send(body);
    });
  }
}
