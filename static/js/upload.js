// The upload page: the first rows at once, the questions that they leave open, and the resumable transfer.
// Without this file the form sends the file as it is, and the server asks the same questions.
import { kindNamed, look } from "./upload-sniff.js";
import { guessed, takenBy, without } from "./upload-kinds.js";
import { TusUpload, begun, meta } from "./upload-tus.js";

const $ = (selector, root = document) => root.querySelector(selector);
const form = $("#upload-form");
const THIN = "\u202f";

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const size = (bytes) => {
  const power = Math.min(4, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  const number = bytes / 1000 ** power;
  return `${power ? number.toFixed(number < 99.95 ? 1 : 0).replace(/\.0$/, "") : bytes}${THIN}${["B", "kB", "MB", "GB", "TB"][power]}`;
};
const duration = (seconds) => {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole}${THIN}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}${THIN}min ${whole % 60}${THIN}s`;
  return `${Math.floor(whole / 3600)}${THIN}h ${Math.floor((whole % 3600) / 60)}${THIN}min`;
};

if (form) start();

function start() {
  const kinds = JSON.parse($("#upload-formats").textContent);
  const fed = JSON.parse($("#upload-segments").textContent);
  const input = form.elements.file;
  const destinations = () => fed[form.elements.segment.value] ?? [];
  const label = (key) => kinds.find((kind) => kind.key === key)?.label ?? key;
  let seen = null;
  let chosen = null;
  let isKindChosen = false; // by a person: then no guess changes it

  // ---- the segment, and what it is fed with ----------------------------------------------------------------------
  function showFed() {
    const places = fed[form.elements.segment.value] ?? null;
    const line = $("#fed-with");
    if (!places) line.textContent = "";
    else if (!places.length) line.textContent = "This segment has no destination yet. Add a vendor account to it first.";
    else line.textContent = `Fed with ${places.map((one) => `${one.label} (${one.name})`).join("; ")}.`;
  }

  // ---- what was pasted --------------------------------------------------------------------------------------------
  const pasted = form.elements.ids;
  const pastedKind = form.elements.ids_kind;
  const everyKind = [...pastedKind.options];
  const lines = () => pasted.value.split(/[\r\n]+/).map((line) => line.trim()).filter(Boolean);

  // Only kinds that some destination of the segment takes are of use.
  function offerKinds() {
    const usable = takenBy(destinations());
    const before = pastedKind.value;
    pastedKind.replaceChildren(...everyKind.filter((option) => !option.value || !usable.size || usable.has(option.value)));
    pastedKind.value = [...pastedKind.options].some((option) => option.value === before) ? before : "";
  }

  function pastedFault() {
    if (pastedKind.value || kindNamed(lines()[0], kinds)) return "";
    return "Say what the pasted identifiers are.";
  }

  form.elements.segment.addEventListener("change", () => { showFed(); offerKinds(); if (chosen && !isKindChosen) choose(chosen); if (seen) show(); weigh(); });
  showFed();
  offerKinds();

  // ---- the file ---------------------------------------------------------------------------------------------------
  const drop = $("#drop");
  const over = (event) => { event.preventDefault(); drop.classList.add("is-over"); };
  ["dragenter", "dragover"].forEach((name) => drop.addEventListener(name, over));
  ["dragleave", "drop"].forEach((name) => drop.addEventListener(name, () => drop.classList.remove("is-over")));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    const { length } = event.dataTransfer.files;
    if (length > 1) window.audsync?.toast(`${length} files were dropped, and an upload takes one. None of them was taken: drop one, and the others each in an upload of their own.`, "warning");
    if (length !== 1) return;
    const carrier = new DataTransfer();
    carrier.items.add(event.dataTransfer.files[0]);
    input.files = carrier.files;
    take();
  });
  addEventListener("dragover", (event) => event.preventDefault()); // a near miss must not open the file
  addEventListener("drop", (event) => event.preventDefault());
  input.addEventListener("change", take);

  async function take() {
    const file = input.files[0] ?? null;
    seen = null;
    chosen = null;
    isKindChosen = false;
    const place = $("#preview");
    place.hidden = !file;
    weigh();
    if (!file) return;
    if (!lines().length) $("#paste").open = false;
    place.replaceChildren(element("p", { className: "quiet", textContent: "Reading the first rows…" }));
    try {
      seen = await look(file, kinds);
    } catch {
      seen = { problem: "The file cannot be read. It may have been moved or changed." };
    }
    if (file !== input.files[0]) return;
    if (Number(form.dataset.maxBytes) < file.size) seen = { problem: `This file has ${size(file.size)}; AudSync takes at most ${size(Number(form.dataset.maxBytes))}.`, fatal: true };
    if (!seen.problem) settle();
    show();
    weigh();
  }

  // ---- what stands against sending --------------------------------------------------------------------------------
  const button = $("#send");
  const note = $("#send-note");
  const calm = note.textContent;

  // A file is the segment by itself; a handful of pasted identifiers rarely is. Whoever has chosen is left alone.
  let isModeChosen = Boolean(form.querySelector("[name=mode]:checked"));
  form.addEventListener("change", (event) => { if (event.target.name === "mode") isModeChosen = true; });

  function proposeMode() {
    if (isModeChosen) return;
    const wanted = lines().length ? "add" : input.files.length ? "replace" : "";
    for (const radio of form.elements.mode) radio.checked = radio.value === wanted;
  }

  // The kind that will be sent, as far as it is known yet.
  function kindToSend() {
    if (input.files.length) return form.elements.kind.value || chosen?.kind || "";
    return lines().length ? pastedKind.value || kindNamed(lines()[0], kinds) || "" : "";
  }

  // Who of the segment's destinations cannot be fed with it, before anything is sent; the reason when that is all.
  function showFit() {
    const kind = kindToSend();
    const unfit = without(destinations(), kind);
    const place = $("#fit");
    place.hidden = !unfit.length;
    if (!unfit.length) return "";
    const of = destinations().length;
    const all = unfit.length === of;
    const title = all ? `No destination of this segment can take “${label(kind)}”.` : `${unfit.length} of ${of} destinations cannot take “${label(kind)}”.`;
    const list = element("ul", {}, ...unfit.map((one) => element("li", { textContent: `${one.name} is fed with “${one.label}”.` })));
    const advice = element("p", { textContent: "Choose another column or kind if the identifiers are those, or another file." });
    place.replaceChildren(element("div", { className: `notice notice-${all ? "bad" : "warn"}` }, element("div", {}, element("p", { className: "notice-title", textContent: title }), list, advice)));
    return all ? title : "";
  }

  function weigh() {
    proposeMode();
    const misfit = showFit();
    const both = Boolean(input.files.length && lines().length);
    $("#both").hidden = !both;
    const reason = both ? "Choose which of the two goes: the file or the pasted identifiers." : seen?.fatal ? `${seen.problem} Choose another file.` : misfit;
    button.disabled = Boolean(reason);
    note.textContent = reason || calm;
  }
  pasted.addEventListener("input", weigh);
  pastedKind.addEventListener("change", weigh);
  form.elements.kind.addEventListener("change", () => { isKindChosen = true; weigh(); });
  $("#drop-file").addEventListener("click", () => { input.value = ""; take(); pasted.focus(); });
  $("#drop-pasted").addEventListener("click", () => { pasted.value = ""; $("#paste").open = false; weigh(); input.focus(); });
  weigh(); // a browser that comes back brings the form's contents along

  // What the first rows answer by themselves goes into the form; only what stays open is asked.
  function settle() {
    const wanted = new Set(destinations().map((one) => one.kind));
    const known = seen.columns.filter((column) => column.kind);
    const best = known.find((column) => wanted.has(column.kind)) ?? known[0] ?? seen.columns.find((column) => column.shape) ?? seen.columns[0];
    choose(best);
    form.elements.header.value = seen.header ? "yes" : "no";
    form.elements.delimiter.value = seen.delimiter === "," ? "" : seen.delimiter;
    form.elements.encoding.value = seen.encoding;
  }

  function choose(column) {
    chosen = column;
    form.elements.column.value = seen.columns.length > 1 ? column.index + 1 : "";
    form.elements.kind.value = column.kind ? "" : guessed(destinations(), column.shape);
  }

  // ---- the first rows, and the questions --------------------------------------------------------------------------
  function show() {
    const place = $("#preview");
    if (seen.problem) {
      const notice = element("div", { className: "notice notice-bad" }, element("div", {}, element("p", { textContent: seen.problem })));
      place.replaceChildren(notice);
      return;
    }
    const parts = [summary()];
    if (!chosen.kind) parts.push(question());
    parts.push(table());
    const box = element("div", { className: "preview" }, ...parts);
    place.replaceChildren(box);
  }

  function summary() {
    const facts = [size(input.files[0].size)];
    if (seen.packed) facts.push("gzip-compressed, unpacked on the server");
    facts.push({ "": "UTF-8", cp1252: "probably Windows-1252", "utf-16": "UTF-16" }[seen.encoding]);
    if (seen.columns.length > 1) facts.push(`${seen.columns.length} columns`);
    facts.push(seen.header ? "first line is the header" : "no header");
    const kind = chosen.kind ?? form.elements.kind.value;
    const words = kind ? `${label(kind)}${chosen.name ? `, column “${chosen.name}”` : ""}` : "Say what the identifiers are";
    return element("div", { className: "preview-head" }, element("strong", { textContent: words }), element("span", { className: "quiet", textContent: facts.join(" · ") }));
  }

  function question() {
    const box = element("fieldset", { className: "preview-question notice notice-warn" });
    const inner = element("div");
    inner.append(element("legend", { className: "form-label", textContent: seen.header ? `“${chosen.name || "The column"}” is no column name that AudSync knows. What is in it?` : "The file has no header that AudSync knows." }));
    if (seen.columns.length === 1 || !seen.header) {
      const choices = element("div", { className: "choices" });
      for (const [value, words] of [["no", `The first line, “${short(seen.first[chosen.index] ?? "")}”, is a member`], ["yes", "The first line is a header"]]) {
        const radio = element("input", { type: "radio", name: "preview-header", value, checked: form.elements.header.value === value });
        radio.addEventListener("change", () => { form.elements.header.value = value; });
        choices.append(element("label", { className: "choice" }, radio, element("span", { textContent: words })));
      }
      inner.append(choices);
    }
    const select = form.elements.kind.cloneNode(true);
    Object.assign(select, { id: "preview-kind", name: "" });
    select.options[0].textContent = "Choose the identifier kind";
    select.value = form.elements.kind.value;
    select.addEventListener("change", () => { form.elements.kind.value = select.value; isKindChosen = true; $(".preview-head strong").replaceWith($("strong", summary())); weigh(); });
    inner.append(element("label", { className: "form-label", htmlFor: "preview-kind", textContent: "Identifier kind" }), select);
    box.append(inner);
    return box;
  }

  const short = (text) => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

  function table() {
    const head = element("tr");
    for (const column of seen.columns) {
      const words = column.name || `Column ${column.index + 1}`;
      const cell = element("th", { scope: "col", className: column === chosen ? "is-chosen" : "" });
      if (seen.columns.length > 1) {
        const pick = element("button", { type: "button", className: "btn btn-sm", textContent: words });
        pick.setAttribute("aria-pressed", String(column === chosen));
        pick.addEventListener("click", () => { isKindChosen = false; choose(column); show(); weigh(); $(`#preview th:nth-child(${column.index + 1}) button`).focus(); });
        cell.append(pick);
      } else cell.textContent = words;
      head.append(cell);
    }
    const body = element("tbody");
    for (const row of seen.rows) {
      body.append(element("tr", {}, ...seen.columns.map((column) => element("td", { className: column === chosen ? "is-chosen" : "", textContent: short(row[column.index] ?? "") }))));
    }
    const caption = element("caption", { className: "visually-hidden", textContent: "The first rows of the file" });
    const region = element("div", { className: "table-region", tabIndex: 0 }, element("table", { className: `table table-sm${seen.columns.length > 1 ? " has-columns" : ""}` }, caption, element("thead", {}, head), body));
    region.setAttribute("role", "region");
    region.setAttribute("aria-label", "The first rows of the file");
    return region;
  }

  // ---- what was begun and has not arrived -------------------------------------------------------------------------
  function showUnfinished() {
    const left = begun.list();
    const place = $("#unfinished");
    place.hidden = !left.length;
    if (!left.length) return;
    const names = left.map((entry) => `${entry.name} (${size(entry.size)})`).join(", ");
    place.replaceChildren(element("div", { className: "notice notice-info" }, element("div", {}, element("p", { textContent: `Not arrived whole yet: ${names}. Choose the same segment and file, and it goes on where it stopped.` }))));
  }
  showUnfinished();

  // ---- sending ----------------------------------------------------------------------------------------------------
  function fault(field, text) {
    window.audsync?.toast(text, "error");
    field.focus();
    field.setAttribute("aria-invalid", "true");
  }

  form.addEventListener("submit", (event) => {
    const file = input.files[0];
    if (!file && lines().length && form.elements.segment.value && pastedFault()) {
      event.preventDefault();
      return fault(pastedKind, pastedFault());
    }
    if (!file) return; // pasted identifiers go as a plain form
    event.preventDefault();
    if (lines().length) return fault($("#drop-file"), "Choose which of the two goes: the file or the pasted identifiers.");
    if (!form.elements.segment.value) return fault(form.elements.segment, "Choose a segment first.");
    if (seen?.fatal) return fault(input, seen.problem);
    if (chosen && !chosen.kind && !form.elements.kind.value) return fault($("#preview-kind"), "Say what kind of identifiers these are.");
    begin(file);
  });

  // Whoever logged in meanwhile has another token against forged requests than this page was made with.
  let loggedOut = null;

  async function begin(file) {
    if (loggedOut) {
      loggedOut.remove();
      await renewTokens();
      loggedOut = null;
    }
    send(file);
  }

  async function renewTokens() {
    try {
      const fresh = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
      const token = fresh.querySelector("meta[name=csrf-token]")?.content;
      if (!token) return; // still logged out: sending says so once more
      document.querySelector("meta[name=csrf-token]").content = token;
      document.querySelectorAll("input[name=csrfmiddlewaretoken]").forEach((field) => { field.value = token; });
    } catch {
      // no connection: sending waits for it, and says so
    }
  }

  function metadata(file) {
    const values = form.elements;
    const share = Number(values.caution.value) / 100;
    return {
      filename: file.name,
      mode: form.querySelector("[name=mode]:checked").value,
      hold: "true",
      header: values.kind.value ? "any" : "",
      kind: values.kind.value,
      column: values.column.value ? String(Number(values.column.value) - 1) : "",
      delimiter: values.delimiter.value,
      encoding: values.encoding.value,
      hasHeader: values.header.value === "no" ? "false" : "true",
      maxRemovedShare: values.caution.value !== "" && share >= 0 && share <= 1 ? String(share) : "",
    };
  }

  function send(file) {
    const endpoint = form.dataset.tus.replace("SEGMENT", form.elements.segment.value);
    const meter = speedometer();
    const state = $("#transfer-state");
    const pause = $("#transfer-pause");
    const words = $("span", pause);
    $("#upload-steps").hidden = true;
    $("#transfer").hidden = false;
    $("#transfer-name").textContent = file.name;
    const leave = (event) => event.preventDefault();
    addEventListener("beforeunload", leave);
    const upload = new TusUpload(file, { endpoint, metadata: metadata(file), told: {
      progress: (sent, total) => meter.show(sent, total),
      state: (word, text) => {
        if (word !== "sending") meter.rest();
        if (state.textContent !== text) state.textContent = text;
        if (["refused", "logged out"].includes(word)) { removeEventListener("beforeunload", leave); back(text, word === "logged out"); }
      },
      done: (id) => {
        removeEventListener("beforeunload", leave);
        state.textContent = "Arrived. Opening its board…";
        location.assign(form.dataset.board.replace("00000000-0000-0000-0000-000000000000", id));
      },
    } });
    pause.onclick = () => {
      if (upload.paused) upload.resume(); else upload.pause();
      pause.classList.toggle("is-paused", upload.paused);
      words.textContent = upload.paused ? "Go on" : "Pause";
    };
    $("#transfer-stop").onclick = async () => {
      removeEventListener("beforeunload", leave);
      await upload.giveUp();
      back("");
    };
    meter.show(0, file.size);
    upload.run();
    pause.focus();
  }

  function back(text, toLogin = false) {
    $("#upload-steps").hidden = false;
    $("#transfer").hidden = true;
    showUnfinished();
    const leads = toLogin ? { label: "Log in (opens a new tab)", href: meta("login-url") } : null;
    const note = text ? window.audsync?.toast(text, "error", leads) : null;
    if (toLogin) loggedOut = note;
    $("#send").focus();
  }

  // Speed over the last seconds, so that it follows the connection and does not jump.
  function speedometer() {
    let marks = [];
    let shown = 0;
    return {
      rest() { marks = []; $("#transfer-hint").textContent = ""; },
      show(sent, total) {
        const now = performance.now();
        marks.push([now, sent]);
        marks = marks.filter(([at], index) => now - at < 8000 || index === marks.length - 1);
        const [[began, from]] = marks;
        const rate = now - began > 400 ? (sent - from) / ((now - began) / 1000) : 0;
        const share = total ? sent / total : 0;
        $("#transfer-bar").value = share;
        $("#transfer-share").textContent = `${Math.min(99.9, Math.floor(share * 1000) / 10)}${THIN}%`;
        if (now - shown < 400) return;
        shown = now;
        const pace = rate > 0 ? ` · ${size(rate)} a second · about ${duration((total - sent) / rate)} left` : "";
        $("#transfer-hint").textContent = `${size(sent)} of ${size(total)}${pace}`;
      },
    };
  }
}
