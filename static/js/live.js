// What a part of a page that HTMX replaces owes to whom it was taken from under the hands: the focus stays where it was,
// what was unfolded stays unfolded, and a change of state is said to those who cannot see it. A part says its state in
// an element with data-announce="a name that is its own on the page".
(() => {
  "use strict";
  const FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const words = (element) => (element?.textContent ?? "").replace(/\s+/g, " ").trim();
  const active = () => document.activeElement;
  const isNowhere = () => active() === document.body || active() === null;
  const part = (id) => document.getElementById(id);

  // ---- focus and what is unfolded --------------------------------------------------------------------------------
  // An element has no name that outlives its part, so the next version is searched for its like: first by all that can
  // be said of it, then by where it leads, then by its words alone.
  const LIKENESS = [
    (element) => [element.tagName, element.id, leads(element), element.name, words(element)],
    (element) => [element.tagName, leads(element), element.name],
    (element) => [element.tagName, words(element) || element.getAttribute("aria-label")],
  ];
  const leads = (element) => element.getAttribute("href") ?? element.form?.getAttribute("action") ?? "";
  const alike = (root, likeness) => [...root.querySelectorAll(FOCUSABLE)].map((element) => [JSON.stringify(likeness(element)), element]);
  let held = null;

  function marksIn(root) {
    const focused = active() !== root && root.contains(active());
    return focused ? LIKENESS.map((likeness) => mark(root, active(), likeness)) : [];
  }

  function hold(target) {
    return {
      id: target.id,
      marks: marksIn(target),
      open: [...target.querySelectorAll("details[open] > summary")].map(words),
    };
  }

  // Several may be alike, such as the same link in two rows: then the same one of them.
  function mark(root, element, likeness) {
    const own = JSON.stringify(likeness(element));
    const same = alike(root, likeness).filter(([key]) => key === own);
    return [own, same.findIndex(([, other]) => other === element)];
  }

  function next(root, marks) {
    for (const [index, likeness] of LIKENESS.entries()) {
      const [own, place] = marks[index];
      const same = alike(root, likeness).filter(([key]) => key === own);
      if (same.length) return same[Math.min(Math.max(place, 0), same.length - 1)][1];
    }
    root.tabIndex = -1; // it is gone: the part itself, from where Tab goes on
    return root;
  }

  // A button that is disabled while its call runs loses the focus to nobody.
  let pressed = null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!isNowhere() && event.detail.elt.contains(active())) pressed = active();
  });
  function giveBack() {
    if (pressed?.isConnected && isNowhere()) pressed.focus({ preventScroll: true });
    pressed = null;
  }
  document.addEventListener("htmx:responseError", giveBack);
  document.addEventListener("htmx:sendError", giveBack);

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target, shouldSwap } = event.detail;
    held = shouldSwap && target?.id ? hold(target) : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    const root = held && part(held.id);
    root?.querySelectorAll("details:not([open]) > summary").forEach((summary) => {
      if (held.open.includes(words(summary))) summary.parentElement.open = true;
    });
  });
  // After app.js, which gives the focus to what has to be mended first.
  document.addEventListener("htmx:afterSettle", () => {
    const root = held && part(held.id);
    if (root && held.marks.length && isNowhere()) next(root, held.marks).focus({ preventScroll: true });
    held = null;
    giveBack();
  });

  // ---- what is said ----------------------------------------------------------------------------------------------
  const told = new Map();
  const SOON = 400;
  const UNSAID = "[aria-hidden=true], time, svg";

  function state(element) {
    const copy = element.cloneNode(true);
    copy.querySelectorAll(UNSAID).forEach((one) => one.remove());
    return words(copy);
  }

  function say(text) {
    const announcer = part("announcer");
    // The same words once more are said only where they are not the same text.
    if (announcer && text) announcer.textContent = announcer.textContent === text ? `${text}\u00a0` : text;
  }

  // What stood on the page when it came is read with it; only what is another now is said.
  function changes() {
    const fresh = [];
    document.querySelectorAll("[data-announce]").forEach((element) => {
      const [name, now] = [element.dataset.announce, state(element)];
      if (told.has(name) && told.get(name) !== now) fresh.push(now);
      told.set(name, now);
    });
    return fresh.join(". ");
  }

  // A list that was filtered says how much of it is left, or that nothing is.
  function listed(target) {
    const rows = target.querySelectorAll("tbody tr").length;
    if (!rows) return words(target.querySelector(".blank-title"));
    const more = target.querySelector("[rel=next]") ? " and more" : "";
    return rows === 1 ? "1 row fits" : `${rows} rows${more} fit`;
  }

  // Whoever asked for something hears how it stands, though nothing has changed.
  function answered(requestConfig, target) {
    const asked = requestConfig?.verb === "post" && target?.id && part(target.id);
    return asked ? [...asked.querySelectorAll("[data-announce]")].map(state).join(". ") : "";
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    const { requestConfig, target } = event.detail;
    const list = requestConfig?.elt.matches?.("form.filters[method=get]") && target?.id && part(target.id);
    say(list ? listed(list) : changes() || answered(requestConfig, target));
  });

  // ---- a page that loads itself again when its work has come further -----------------------------------------------
  // It goes on where it was, and says what is another now. Only such pages leave anything in the tab.
  const KEPT = "audsync-live";
  const main = part("main");

  addEventListener("pagehide", () => {
    if (!main?.querySelector("[hx-trigger*=every]")) return;
    sessionStorage.setItem(KEPT, JSON.stringify({ path: location.pathname, told: [...told], marks: marksIn(main) }));
  });
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (kept?.path === location.pathname) {
    kept.told.forEach(([name, text]) => told.set(name, text));
    if (kept.marks.length && isNowhere()) next(main, kept.marks).focus({ preventScroll: true });
  }
  const further = changes();
  // A message that came with the page stood there before anybody listened.
  const arrived = [...document.querySelectorAll("#toasts .toast-text")].map(words).join(" ");
  if (further || arrived) setTimeout(() => say([further, arrived].filter(Boolean).join(". ")), SOON);
})();
