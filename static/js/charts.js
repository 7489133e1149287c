// Draws a plot over every <figure data-chart> from its own table. The plot library is fetched only where there is one.
(() => {
  "use strict";
  const THIN = "\u202f";
  const HEIGHT = 220;
  const SERIES = ["--plot-1", "--plot-2", "--plot-3", "--plot-4", "--plot-5"];
  const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4], [1, 4]]; // told apart without colour too
  const drawn = new Map();
  const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
  let loading = null;

  function library() {
    loading ??= new Promise((resolve, reject) => {
      const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: meta("plot-style") });
      const script = Object.assign(document.createElement("script"), { src: meta("plot-script") });
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(style, script);
    });
    return loading;
  }

  function group(number) {
    return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, THIN);
  }

  function short(number) {
    const size = Math.abs(number);
    for (const [limit, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= limit) return `${Number((number / limit).toFixed(1))}${THIN}${unit}`;
    }
    return String(Number(number.toFixed(2)));
  }

  function formats(unit) {
    if (unit === "share") return { axis: (n) => `${Math.round(n * 100)}${THIN}%`, full: (n) => `${(n * 100).toFixed(1)}${THIN}%` };
    if (unit === "bytes") return { axis: (n) => `${short(n)}B`, full: (n) => `${short(n)}B` };
    return { axis: short, full: group };
  }

  // Days where the ticks are days apart, else hours; all in UTC, as the table.
  function dates(ticks) {
    const daily = ticks.length < 2 || ticks[1] - ticks[0] >= 86400;
    const shape = daily ? { day: "numeric", month: "short", timeZone: "UTC" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" };
    const words = ticks.map((tick) => new Date(tick * 1000).toLocaleString("en-GB", shape));
    return words.map((word, index) => (word === words[index - 1] ? "" : word)); // ticks within one minute say it once
  }

  // The table's raw values: dates as seconds, words as their place in the list.
  function read(table) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows];
    const words = rows.map((row) => row.cells[0].textContent.trim());
    const first = rows.map((row) => row.cells[0].dataset.value);
    const dated = first.every((value) => /^\d{4}-\d\d-\d\d/.test(value));
    const xs = first.map((value, index) => (dated ? Date.parse(value) / 1000 : index));
    const columns = heads.slice(1).map((_, index) => rows.map((row) => {
      const raw = row.cells[index + 1].dataset.value;
      return raw === "" ? null : Number(raw);
    }));
    return { heads, words, dated, data: [xs, ...columns] };
  }

  // A canvas knows no light-dark(): an element of the page turns each token into the plain colour of its theme.
  function colourReader(figure) {
    const probe = figure.querySelector("figcaption");
    return (name) => {
      probe.style.color = `var(${name})`;
      const plain = getComputedStyle(probe).color;
      probe.style.removeProperty("color");
      return plain;
    };
  }

  function options(figure, table, width) {
    const colour = colourReader(figure);
    const { axis, full } = formats(figure.dataset.unit);
    const kind = figure.dataset.chart;
    const font = `12px ${getComputedStyle(figure).fontFamily}`;
    const line = { stroke: colour("--plot-text"), font, ticks: { show: false }, grid: { stroke: colour("--plot-grid"), width: 1 } };
    const fill = (shape, index) => {
      if (shape === "bars") return colour(SERIES[index % SERIES.length]);
      return shape === "area" && index === 0 ? colour("--plot-fill") : undefined;
    };
    // A membership is what it is until the next one takes its place: a slope would show members that nobody had.
    const paths = (shape) => {
      if (shape === "bars") return window.uPlot.paths.bars({ size: [0.6, 48], radius: 0.15 });
      return table.dated ? window.uPlot.paths.stepped({ align: 1 }) : undefined;
    };
    const series = table.heads.slice(1).map((label, index) => ({
      label,
      stroke: colour(SERIES[index % SERIES.length]),
      width: 2,
      dash: kind === "bars" ? [] : DASHES[index % DASHES.length],
      fill: fill(kind, index),
      paths: paths(kind),
      points: { show: table.words.length < 3 },
      value: (_, number) => (number === null || number === undefined ? "—" : full(number)),
    }));
    const at = (index) => table.words[Math.round(index)] ?? "";
    return {
      width,
      height: HEIGHT,
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      scales: { x: table.dated ? { time: true } : { time: false, range: [-0.5, table.words.length - 0.5] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 1) * 1.08 || 1] } },
      cursor: { y: false, points: { size: 7 } },
      legend: { live: true },
      hooks: { ready: [(plot) => plot.setLegend({ idx: table.words.length - 1 })] }, // until somebody points: the latest
      axes: [
        { ...line, size: 36, grid: { show: false }, values: (_, ticks) => (table.dated ? dates(ticks) : ticks.map((tick) => (Number.isInteger(tick) ? at(tick) : ""))) },
        { ...line, size: 58, values: (_, ticks) => ticks.map(axis) },
      ],
      series: [{ label: table.heads[0], value: (_, x, __, index) => (index === null || index === undefined ? "—" : table.words[index]) }, ...series],
    };
  }

  function draw(figure) {
    const place = figure.querySelector(".chart-plot");
    const source = figure.querySelector(".chart-data table");
    if (!place || !source) return;
    drawn.get(figure)?.destroy();
    place.hidden = false;
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `${figure.querySelector("figcaption").textContent}. The numbers are in the table below.`);
    const table = read(source);
    drawn.set(figure, new window.uPlot(options(figure, table, place.clientWidth), table.data, place));
    resizes.observe(place);
  }

  const resizes = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const plot = drawn.get(target.closest("figure"));
      if (plot && contentRect.width && Math.abs(plot.width - contentRect.width) > 1) plot.setSize({ width: contentRect.width, height: HEIGHT });
    }
  });

  async function drawAll() {
    drawn.forEach((plot, figure) => { if (!figure.isConnected) { plot.destroy(); drawn.delete(figure); } });
    const wanted = [...document.querySelectorAll("figure[data-chart]")].filter((figure) => !drawn.has(figure));
    if (!wanted.length) return;
    try {
      await library();
    } catch {
      wanted.forEach((figure) => { const data = figure.querySelector("details"); if (data) data.open = true; });
      return; // the table says the same
    }
    wanted.filter((figure) => !drawn.has(figure)).forEach(draw);
  }

  document.addEventListener("audsync:theme", () => [...drawn.keys()].forEach(draw));
  document.addEventListener("htmx:afterSettle", drawAll);
  drawAll();
})();
