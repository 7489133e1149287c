// Runs before the first paint, so that the chosen theme never flashes. The choice lives in this browser only.
(() => {
  "use strict";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      const kept = localStorage.getItem("audsync-theme");
      return kept === "light" || kept === "dark" ? kept : "system";
    } catch {
      return "system"; // storage may be forbidden; the system's theme is then the only one
    }
  }

  function apply() {
    const wanted = choice();
    const theme = wanted === "system" ? (dark.matches ? "dark" : "light") : wanted;
    if (root.dataset.bsTheme === theme) return;
    root.dataset.bsTheme = theme;
    document.dispatchEvent(new CustomEvent("audsync:theme", { detail: { theme } }));
  }

  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  window.audsyncTheme = {
    choice,
    choose(wanted) {
      try {
        if (wanted === "system") localStorage.removeItem("audsync-theme");
        else localStorage.setItem("audsync-theme", wanted);
      } catch {
        root.dataset.bsTheme = wanted === "dark" ? "dark" : "light"; // for this page at least
        return;
      }
      apply();
    },
  };
})();
