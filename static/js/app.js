// AudSync's own behaviour over pages that work without it. No framework; every handler is delegated, so that what
// HTMX swaps in needs no wiring. Nothing here writes markup from text: names and messages go in as text.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const meta = (name) => $(`meta[name="${name}"]`)?.content ?? "";
  const THIN = "\u202f";

  // ---- theme -------------------------------------------------------------------------------------------------
  function showTheme() {
    const chosen = window.audsyncTheme?.choice() ?? "system";
    document.querySelectorAll("[data-theme-choice]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
    });
  }

  // ---- toasts: an HX-Trigger header {"toast": {"message": "…", "tone": "success"}} -----------------------------
  const TONES = ["success", "info", "warning", "error"];
  const STAY = 7000;

  // `leads`, a link such as {label: "Log in", href: "/login"}, opens a tab of its own: what is on the page stays.
  function toast(message, tone = "info", leads = null) {
    const shape = $(`#toast-${TONES.includes(tone) ? tone : "info"}`);
    const box = $("#toasts");
    if (!shape || !box || !message) return null;
    const note = shape.content.firstElementChild.cloneNode(true);
    $(".toast-text", note).textContent = message;
    if (leads) {
      const link = Object.assign(document.createElement("a"), { href: leads.href, target: "_blank", rel: "noopener", textContent: leads.label });
      $(".toast-text", note).append(" ", link);
    }
    box.append(note);
    age(note);
    return note;
  }

  // A warning or an error stays until it is dismissed; the others go, but never while somebody reads them.
  function age(note) {
    if (note.matches(".toast-error, .toast-warning")) return;
    const timer = setInterval(() => {
      if (note.matches(":hover, :focus-within")) return;
      clearInterval(timer);
      note.remove();
    }, STAY);
  }

  // ---- relative times: the same words as formats.py -------------------------------------------------------------
  const DAY = 86400;
  const UNITS = [[DAY, "day"], [3600, "h"], [60, "min"], [1, "s"]];

  function relative(moment, now) {
    const seconds = (now - moment) / 1000;
    const distance = Math.abs(seconds);
    if (distance >= 30 * DAY) return null;
    if (distance < 5) return "just now";
    const [length, unit] = UNITS.find(([size]) => distance >= size);
    const amount = Math.floor(distance / length);
    const words = `${amount}${THIN}${unit}${unit === "day" && amount !== 1 ? "s" : ""}`;
    return seconds > 0 ? `${words} ago` : `in ${words}`;
  }

  // Whole moments for whoever cannot hover, or wants to compare them; kept in this browser only.
  const whole = { key: "audsync-whole-times", on: false };
  try {
    whole.on = localStorage.getItem(whole.key) === "yes";
  } catch {
    whole.on = false; // storage may be forbidden; the choice then holds for this page
  }

  function showTimes(root = document) {
    const now = Date.now();
    root.querySelectorAll("time[data-relative]").forEach((time) => {
      time.dataset.relative ||= time.textContent;
      const words = whole.on ? time.title : relative(Date.parse(time.dateTime), now) ?? time.dataset.relative;
      if (time.textContent !== words) time.textContent = words;
    });
    showTimesChoice();
  }

  function chooseTimes(wanted) {
    whole.on = wanted;
    try {
      localStorage.setItem(whole.key, wanted ? "yes" : "no");
    } catch {
      // told above: for this page at least
    }
    showTimes();
  }

  // Offered where there is a time in words.
  function showTimesChoice() {
    const button = $("[data-whole-times]");
    if (!button) return;
    button.setAttribute("aria-pressed", String(whole.on));
    button.hidden = !$("time[data-relative]");
  }

  // ---- dialogs and confirmations ---------------------------------------------------------------------------------
  // An answer holds for the one click or submit it was given for.
  const confirmed = new WeakSet();

  function ask(element, goOn) {
    const dialog = $("#confirm");
    if (!dialog) return goOn();
    const { confirm, confirmTitle, confirmLabel, confirmTone, confirmType } = element.dataset;
    const yes = $("[data-confirm-yes]", dialog);
    const typed = $("#confirm-typed", dialog);
    $("#confirm-title", dialog).textContent = confirmTitle || "Are you sure?";
    $("#confirm-text", dialog).textContent = confirm;
    $("[data-confirm-word]", dialog).textContent = confirmType || "";
    $("[data-confirm-field]", dialog).hidden = !confirmType;
    yes.textContent = confirmLabel || "Go on";
    yes.classList.toggle("btn-danger", confirmTone === "danger");
    yes.classList.toggle("btn-primary", confirmTone !== "danger");
    typed.value = "";
    const check = () => { yes.disabled = Boolean(confirmType) && typed.value !== confirmType; };
    typed.oninput = check;
    check();
    dialog.returnValue = "";
    dialog.onclose = () => {
      focusBack(element);
      if (dialog.returnValue === "yes" && !yes.disabled) goOn();
    };
    dialog.showModal();
    (confirmType ? typed : $("[data-dialog-close]", dialog)).focus();
  }

  // The menu that the question came from has closed behind it: what opens that menu takes the focus.
  function focusBack(element) {
    const menu = element.closest("details[data-menu]");
    (menu && !menu.open ? $("summary", menu) : element).focus?.();
  }

  // data-confirm-when="role=admin": only where that is chosen.
  function asksNow(form) {
    const [name, value] = (form.dataset.confirmWhen ?? "").split("=");
    return !name || form.elements[name]?.value === value;
  }

  function intercept(event, element, again) {
    if (confirmed.delete(element)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(element, () => {
      confirmed.add(element);
      again();
    });
  }

  // In the capture phase, before HTMX or the form itself hears of it.
  document.addEventListener("click", (event) => {
    const element = event.target.closest?.("[data-confirm]:not(form)");
    if (element && !element.disabled) intercept(event, element, () => element.click());
  }, true);
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-confirm]") && asksNow(form)) intercept(event, form, () => form.requestSubmit(event.submitter));
  }, true);

  // ---- clicks ----------------------------------------------------------------------------------------------------
  async function copy(button) {
    const text = button.dataset.copyFrom ? $(button.dataset.copyFrom)?.textContent : button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text ?? "");
    } catch {
      toast("The browser did not allow copying. Select the text and copy it by hand.", "warning");
      return;
    }
    button.classList.add("is-done");
    setTimeout(() => button.classList.remove("is-done"), 1600);
    toast("Copied", "success");
  }

  function toggleNavigation(open) {
    const button = $("[data-nav-toggle]");
    if (!button) return;
    const next = open ?? button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(next));
    document.body.classList.toggle("nav-open", next);
  }

  // The first thing to fill in or press takes the focus, not the cross in the corner.
  function openDialog(dialog) {
    if (!dialog) return;
    dialog.showModal();
    $(".sheet-body :is(input:not([type=hidden]), select, textarea, .btn)", dialog)?.focus();
  }

  const CLICKS = {
    "[data-whole-times]": () => chooseTimes(!whole.on),
    "[data-theme-choice]": (button) => { window.audsyncTheme?.choose(button.dataset.themeChoice); showTheme(); },
    "[data-toast-close]": (button) => button.closest("[data-toast]").remove(),
    "[data-dialog-open]": (button) => openDialog(document.getElementById(button.dataset.dialogOpen)),
    "[data-dialog-close]": (button) => button.closest("dialog").close(),
    "[data-copy], [data-copy-from]": copy,
    "[data-nav-toggle]": () => toggleNavigation(),
    "[data-print]": () => window.print(),
  };
  document.addEventListener("click", (event) => {
    for (const [selector, act] of Object.entries(CLICKS)) {
      const element = event.target.closest?.(selector);
      if (element) act(element);
    }
    closeMenus(event.target);
    if (event.target.matches?.("dialog.sheet")) event.target.close(); // a click beside the sheet lands on the backdrop
  });

  function closeMenus(except) {
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (!menu.contains(except)) menu.open = false;
    });
  }

  // ---- keyboard --------------------------------------------------------------------------------------------------
  const typing = (element) => element?.matches?.("input, textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target)) {
      const search = $("[data-search]");
      if (search && !$("dialog[open]")) { event.preventDefault(); search.focus(); search.select(); }
    }
    if (event.key === "Escape") {
      const menu = $("details[data-menu][open]");
      if (menu) { menu.open = false; $("summary", menu).focus(); }
      else if (document.body.classList.contains("nav-open")) { toggleNavigation(false); $("[data-nav-toggle]").focus(); }
    }
  });
  document.addEventListener("focusin", (event) => closeMenus(event.target));

  // ---- HTMX ------------------------------------------------------------------------------------------------------
  const polls = (element) => /\bevery\b/.test(element.getAttribute?.("hx-trigger") ?? "");
  const asleep = new Set();

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = meta("csrf-token");
  });

  // ---- filters: what HTMX replaces is the list alone, so the form around it learns from the address ---------------
  const CURSORS = ["cursor", "before", "after"];

  // A list that was sorted meanwhile stays so.
  document.addEventListener("htmx:configRequest", (event) => {
    const sort = new URLSearchParams(location.search).get("sort");
    if (sort && event.target.matches?.("form.filters")) event.detail.parameters.sort = sort;
  });

  // Leaving a search field is told as one more change: asking again would take the list away from under a click.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.detail.elt;
    if (!form.matches?.("form.filters")) return;
    const asked = new URLSearchParams(new FormData(form)).toString();
    if (event.detail.requestConfig.triggeringEvent?.type === "change" && form.dataset.asked === asked) event.preventDefault();
    form.dataset.asked = asked;
  });

  document.addEventListener("htmx:pushedIntoHistory", () => {
    const query = new URLSearchParams(location.search);
    [...query].forEach(([name, value]) => { if (!value || CURSORS.includes(name)) query.delete(name); });
    document.querySelectorAll("form.filters").forEach((form) => {
      const [exported, clear] = [$("[data-filter-export]", form), $("[data-filter-clear]", form)];
      if (exported) exported.search = query.toString();
      if (clear) clear.hidden = [...query.keys()].every((name) => name === "sort");
    });
  });

  // A page that nobody looks at asks nothing; it asks at once when it is looked at again.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!document.hidden || !polls(event.detail.elt)) return;
    asleep.add(event.detail.elt);
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    showTimes();
    asleep.forEach((element) => {
      if (element.isConnected) window.htmx.ajax("GET", element.getAttribute("hx-get"), { source: element });
    });
    asleep.clear();
  });

  // Logged out in another tab or by time: the whole page goes to the login, never a login form inside a fragment. Where
  // a part only asked again by itself, the page stays, says so, and asks no more.
  let ended = false;

  function loggedOut(xhr) {
    const login = meta("login-url");
    if (!login) return false;
    const back = `${login}?next=${encodeURIComponent(location.pathname + location.search)}`;
    if (xhr.getResponseHeader("X-AudSync-Logged-Out")) {
      sayLoggedOut(back);
      return true;
    }
    const landed = xhr.responseURL ? new URL(xhr.responseURL, location.href).pathname : "";
    if (xhr.status !== 401 && landed !== new URL(login, location.href).pathname) return false;
    location.assign(back);
    return true;
  }

  function sayLoggedOut(back) {
    const bar = $("#logged-out");
    if (ended || !bar) return;
    ended = true;
    $("a", bar).href = back;
    bar.hidden = false;
    connection(false);
  }
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (ended && polls(event.detail.elt)) event.preventDefault();
  });

  // An error in the server's words. A part of the page that was to be filled shows it in its place; else it is a toast.
  const fills = (element) => /^(load|revealed)\b/.test(element.getAttribute?.("hx-trigger") ?? "");
  function told(xhr) {
    const answer = new DOMParser().parseFromString(xhr.responseText ?? "", "text/html");
    return [...answer.querySelectorAll("[data-error] p")].map((line) => line.textContent).join(" ");
  }
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, elt } = event.detail;
    if (loggedOut(xhr)) event.detail.shouldSwap = false;
    else if (xhr.status >= 400 && xhr.status !== 422 && fills(elt) && told(xhr)) event.detail.shouldSwap = true;
  });

  const connection = (lost) => { const bar = $("#connection-lost"); if (bar) bar.hidden = !lost; };

  document.addEventListener("htmx:sendError", () => connection(true));
  document.addEventListener("htmx:afterOnLoad", () => connection(false));
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt } = event.detail;
    if (loggedOut(xhr)) return;
    if (polls(elt)) connection(xhr.status >= 500);
    else if (!fills(elt) || !told(xhr)) toast(told(xhr) || "Something broke on our side. Load the page again to see what became of it.", "error");
  });
  document.addEventListener("toast", (event) => {
    const { message, tone, value } = event.detail ?? {};
    toast(message ?? value, tone);
  });

  // The first thing to mend takes the focus, on a page as in a fragment.
  const focusFirst = (root) => $("[data-autofocus]", root)?.focus();
  document.addEventListener("htmx:afterSettle", (event) => { showTimes(event.target); focusFirst(event.target); });

  // ---- start -----------------------------------------------------------------------------------------------------
  showTheme();
  showTimes();
  focusFirst(document);
  document.querySelectorAll("#toasts [data-toast]").forEach(age);
  setInterval(() => { if (!document.hidden) showTimes(); }, 5000);
  window.audsync = { toast };
})();
