// A look at a file's first bytes in the browser: delimiter, header, encoding, first rows. Nothing is sent anywhere.
const LOOK = 256 * 1024;
const SHOWN = 8;
const JUDGED = 200;
const DELIMITERS = [",", ";", "\t", "|"];
const HEX = (length) => new RegExp(`^[0-9a-f]{${length}}$`, "i");
// Shapes of their own, the most particular first; other kinds look like anything.
const SHAPES = [
  ["uuid", /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i],
  ["email_sha256", HEX(64)],
  ["email_md5", HEX(32)],
  ["email", /^[^\s@,;"]+@[^\s@,;"]+\.[a-z]{2,}$/i],
  ["xandr_id", /^[1-9][0-9]{11,19}$/],
];

// The identifier kind that a column name means, by the same spellings as on the server; null when none.
export function kindNamed(name, kinds) {
  return kinds.find((kind) => kind.spellings.includes(name.trim().toLowerCase().split(/\s+/).join(" ")))?.key ?? null;
}

export async function look(file, kinds) {
  let bytes = new Uint8Array(await file.slice(0, LOOK).arrayBuffer());
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (packed) bytes = await unpacked(file);
  const { text, encoding, binary } = decoded(bytes);
  if (binary) return { problem: "This does not look like a text file. Export the list as CSV, and choose that.", packed, fatal: true };
  const complete = !packed && file.size <= LOOK;
  const delimiter = bestDelimiter(text, complete);
  const rows = read(text, delimiter, JUDGED, complete);
  if (!file.size) return { problem: "This file is empty.", packed, fatal: true };
  if (!rows.length) return { problem: "The first rows cannot be read.", packed };
  const kindOf = (name) => kindNamed(name, kinds);
  const below = rows.slice(1);
  const width = Math.max(...rows.slice(0, SHOWN).map((row) => row.length));
  const column = (source, index) => source.map((row) => row[index] ?? "").filter(Boolean);
  const named = rows[0].some((name) => kindOf(name));
  const shaped = [...Array(width).keys()].some((index) => { const shape = guess(column(below, index)); return shape && guess([rows[0][index] ?? ""]) !== shape; });
  const header = named || shaped;
  const body = header ? below : rows;
  const columns = [...Array(width).keys()].map((index) => ({
    index,
    name: header ? rows[0][index] ?? "" : "",
    kind: header ? kindOf(rows[0][index] ?? "") : null,
    shape: guess(column(body, index)),
  }));
  return { packed, encoding, delimiter, header, named, columns, first: rows[0], rows: body.slice(0, SHOWN) };
}

async function unpacked(file) {
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const pieces = [];
  let size = 0;
  while (size < LOOK) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) break;
    pieces.push(value);
    size += value.length;
  }
  reader.cancel().catch(() => null);
  const all = new Uint8Array(size);
  pieces.reduce((at, piece) => { all.set(piece, at); return at + piece.length; }, 0);
  return all.slice(0, LOOK);
}

function decoded(bytes) {
  const as = (name, from = 0) => new TextDecoder(name).decode(bytes.subarray(from));
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return { text: as("utf-8", 3), encoding: "" };
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { text: as("utf-16le", 2), encoding: "utf-16" };
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return { text: as("utf-16be", 2), encoding: "utf-16" };
  if (bytes.subarray(0, 4096).includes(0)) return { binary: true };
  for (let cut = 0; cut < 4; cut += 1) { // the look may end inside a character
    try {
      return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, bytes.length - cut)), encoding: "" };
    } catch { /* one byte less */ }
  }
  return { text: as("windows-1252"), encoding: "cp1252" };
}

function bestDelimiter(text, complete) {
  let best = ",";
  let most = 1;
  for (const mark of DELIMITERS) {
    const widths = read(text, mark, 20, complete).map((row) => row.length);
    if (widths.length && Math.min(...widths) === Math.max(...widths) && widths[0] > most) [best, most] = [mark, widths[0]];
  }
  return best;
}

// Rows of a text, quoted fields understood; the last line only where the text ends with it.
function read(text, delimiter, limit, complete) {
  const rows = [];
  let row = [];
  let field = "";
  let quoted = false;
  const endField = () => { row.push(field.trim()); field = ""; };
  const endRow = () => { endField(); if (row.some(Boolean)) rows.push(row); row = []; };
  for (let at = 0; at < text.length && rows.length < limit; at += 1) {
    const mark = text[at];
    if (quoted) {
      if (mark !== '"') field += mark;
      else if (text[at + 1] === '"') { field += '"'; at += 1; } else quoted = false;
    } else if (mark === '"' && !field.trim()) { quoted = true; field = ""; }
    else if (mark === delimiter) endField();
    else if (mark === "\n" || mark === "\r") endRow();
    else field += mark;
  }
  if (rows.length < limit && (complete || !rows.length) && (field || row.length)) endRow();
  return rows;
}

function guess(values) {
  if (!values.length) return null;
  const fits = ([, shape]) => values.filter((value) => shape.test(value)).length >= 0.9 * values.length;
  return SHAPES.find(fits)?.[0] ?? null;
}
