// Bars and lines over time with uPlot. The numbers come as JSON beside the figure; a table and CSV below carry the same.
"use strict";

const MONEY = (nano) => {
  const dollars = nano / 1e9;
  if (dollars >= 10000) return `$${(dollars / 1000).toFixed(1)}k`;
  if (dollars === 0) return "$0";
  return `$${dollars.toFixed(dollars < 1 ? 4 : 2)}`;
};
const COUNT = (count) => {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} G`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)} M`;
  if (count >= 1e4) return `${(count / 1e3).toFixed(1)} k`;
  return count.toLocaleString("en");
};
const DURATION = (us) => {
  if (us >= 60e6) return `${(us / 60e6).toFixed(1)} min`;
  if (us >= 1e6) return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 1)} s`;
  if (us >= 1000) return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return us === 0 ? "0" : `${Math.round(us)} µs`;
};
const AXIS_DURATION = (us) => {
  const [unit, word] = us >= 60e6 ? [60e6, "min"] : us >= 1e6 ? [1e6, "s"] : us >= 1000 ? [1000, "ms"] : [1, "µs"];
  return us === 0 ? "0" : `${Number((us / unit).toPrecision(3))} ${word}`;
};
const SHARE = (thousandths) => `${Number((thousandths / 10).toFixed(1))} %`;
const WRITERS = { money: MONEY, count: COUNT, duration: DURATION, share: SHARE };
// Steps of an axis are round, so they need no zeros behind the point.
const AXIS_COUNT = (count) => {
  const [unit, word] = count >= 1e9 ? [1e9, " G"] : count >= 1e6 ? [1e6, " M"] : count >= 1e4 ? [1e3, " k"] : [1, ""];
  return `${Number((count / unit).toPrecision(4)).toLocaleString("en")}${word}`;
};
// Steps of an axis that counts things: there is no half request.
const WHOLE = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
const AXIS_MONEY = (nano) => {
  const dollars = nano / 1e9;
  if (dollars >= 1000) return `$${dollars / 1000}k`;
  return `$${Number(dollars.toPrecision(6))}`;
};

// Every digit that a table of record has, where an axis or a tip shortens.
const FULL_MONEY = (nano) => {
  const dollars = nano / 1e9, digits = Math.abs(dollars) < 1 && nano !== 0 ? 4 : 2;
  return `$${dollars.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
};
const FULL = { money: FULL_MONEY, count: (count) => count.toLocaleString("en"), duration: DURATION, share: SHARE };
const UNITS = { money: "nano_usd", count: "", duration: "us", share: "per_mille" };

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const drawn = new Map();

function draw(box) {
  const content = JSON.parse(document.getElementById(box.dataset.chart).textContent);
  drawn.get(box)?.destroy();
  box.replaceChildren();
  const write = WRITERS[box.dataset.unit] || COUNT;
  const onAxis = { money: AXIS_MONEY, duration: AXIS_DURATION, share: SHARE }[box.dataset.unit] || AXIS_COUNT;
  drawn.set(box, content.kind === "lines" ? drawLines(box, content, write, onAxis) : drawBars(box, content, write, onAxis));
}

function drawBars(box, content, write, onAxis) {
  const layers = stack(content.series.map((series) => series.values));
  const tip = tipOf();
  const before = content.before.length ? [content.before] : [];
  const bars = uPlot.paths.bars({ size: [0.72, 44], radius: 0 });
  return new uPlot({
    ...frame(box, content, onAxis),
    scales: { x: { time: true, range: () => [content.times[0] - content.step / 2, content.times.at(-1) + content.step / 2] }, y: { range: (_, __, high) => [0, high > 0 ? high * 1.08 : 1] } },
    // The tallest layer first, so that each lower one is drawn over it.
    series: [{}, ...layers.map((_, layer) => {
      const place = layers.length - 1 - layer;
      return { fill: token(`--series-${Math.min(place, 8)}`), stroke: token("--color-base-100"), width: 1, paths: bars, points: { show: false } };
    }), ...before.map(() => ({ stroke: token("--color-base-content"), width: 1.25, dash: [4, 3], points: { show: false } }))],
    hooks: hooks(tip, content, (place) => barTip(content, place, write)),
  }, [content.times, ...layers.slice().reverse(), ...before], box);
}

// Values that do not add up: lines, dashed where expected, bands between two edges, levels across.
function drawLines(box, content, write, onAxis) {
  const tip = tipOf();
  const edges = content.bands.flatMap((band) => [band.high, band.low]);
  const levels = content.marks.map((mark) => mark.value);
  const tones = { look: "--color-warning", stopped: "--color-error" };
  return new uPlot({
    ...frame(box, content, onAxis),
    scales: { x: { time: true }, y: { range: (_, __, high) => { const top = Math.max(high || 0, ...levels); return [0, top > 0 ? top * 1.08 : 1]; } } },
    series: [{},
      ...edges.map(() => ({ stroke: "transparent", width: 0, points: { show: false } })),
      ...content.lines.map((line) => ({
        stroke: token(`--series-${Math.min(line.color, 8)}`), width: 1.75, dash: line.dashed ? [5, 4] : [],
        spanGaps: false, points: { show: true, size: 5, filter: (plot, number) => lonely(plot.data[number]) },
      })),
    ],
    bands: content.bands.map((band, number) => ({
      series: [2 * number + 1, 2 * number + 2],
      fill: `color-mix(in oklab, ${token(`--series-${Math.min(band.color, 8)}`)} 22%, transparent)`,
    })),
    hooks: {
      ...hooks(tip, content, (place) => lineTip(content, place, write)),
      draw: [(plot) => {
        for (const mark of content.marks) {
          const at = plot.valToPos(mark.value, "y", true);
          const { left, width } = plot.bbox;
          plot.ctx.save();
          plot.ctx.strokeStyle = token(tones[mark.tone] || "--chart-axis");
          plot.ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
          plot.ctx.lineWidth = devicePixelRatio;
          plot.ctx.beginPath();
          plot.ctx.moveTo(left, at);
          plot.ctx.lineTo(left + width, at);
          plot.ctx.stroke();
          plot.ctx.restore();
        }
      }],
    },
  }, [content.times, ...edges, ...content.lines.map((line) => line.values)], box);
}

// A line needs two values side by side; one without neighbours stands as a dot, or nobody would see it.
function lonely(values) {
  const isKnown = (value) => value !== null && value !== undefined;
  return values.map((_, place) => place)
    .filter((place) => isKnown(values[place]) && !isKnown(values[place - 1]) && !isKnown(values[place + 1]));
}

function tipOf() {
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  return tip;
}

// What all charts have alike.
function frame(box, content, onAxis) {
  const font = `11px ${token("--font-sans") || "sans-serif"}`;
  return {
    width: box.clientWidth - 24,
    height: 240,
    padding: [8, 18, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), content.zone),
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    axes: [
      { stroke: token("--chart-axis"), font, grid: { show: false }, ticks: { show: false }, space: 64, size: 28,
        values: (_, splits) => splits.map((at) => tick(at, content)), splits: (plot) => ticks(content, plot.width) },
      { stroke: token("--chart-axis"), font, grid: { stroke: token("--chart-grid"), width: 1 }, ticks: { show: false },
        size: 64, values: (_, splits) => splits.map(onAxis), ...(onAxis === AXIS_COUNT ? { incrs: WHOLE } : {}) },
    ],
  };
}

function hooks(tip, content, lines) {
  return {
    setCursor: [(plot) => point(plot, tip, content, lines)],
    setSelect: [(plot) => zoom(plot, content)],
    ready: [(plot) => {
      plot.over.classList.toggle("leads-on", Boolean(content.behind));
      plot.over.append(tip, ...content.flags.map((flag) => flagOf(plot, flag)));
      plot.over.addEventListener("click", () => follow(plot, content));
      plot.over.addEventListener("mouseleave", () => { tip.hidden = true; });
    }],
  };
}

function stack(rows) {
  const layers = [];
  for (const values of rows) {
    const below = layers.at(-1);
    layers.push(values.map((value, place) => value + (below ? below[place] : 0)));
  }
  return layers;
}

function ticks(content, width) {
  const most = Math.max(2, Math.floor((width - 80) / 72));
  const step = Math.max(1, Math.ceil(content.times.length / most));
  return content.times.filter((_, place) => place % step === 0);
}

function tick(at, content) {
  const options = content.step < 86400
    ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
    : { day: "numeric", month: "short" };
  return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: content.zone }).format(new Date(at * 1000));
}

function point(plot, tip, content, lines) {
  const place = plot.cursor.idx;
  if (place === null || place === undefined || plot.cursor.left < 0) {
    tip.hidden = true;
    return;
  }
  tip.replaceChildren(...lines(place));
  tip.hidden = false;
  const isRight = plot.cursor.left > plot.over.clientWidth / 2;
  tip.style.top = "0px";
  tip.style.left = isRight ? "" : `${plot.cursor.left + 14}px`;
  tip.style.right = isRight ? `${plot.over.clientWidth - plot.cursor.left + 14}px` : "";
}

function headOf(content, place, text) {
  const head = document.createElement("div");
  const title = document.createElement("b");
  title.textContent = tick(content.times[place], content);
  const total = document.createElement("span");
  total.textContent = text;
  head.append(title, total);
  return head;
}

function lineOf(color, name, text) {
  const line = document.createElement("div");
  const mark = document.createElement("i");
  mark.style.background = token(color === null ? "--color-base-content" : `--series-${Math.min(color, 8)}`);
  const label = document.createElement("span");
  label.textContent = name;
  const value = document.createElement("span");
  value.textContent = text;
  line.append(mark, label, value);
  return line;
}

function barTip(content, place, write) {
  const total = content.series.reduce((sum, series) => sum + series.values[place], 0);
  const lines = content.series.map((series, number) => [series, number])
    .filter(([series]) => series.values[place] > 0).reverse()
    .map(([series, number]) => lineOf(number, series.label, write(series.values[place])));
  const before = content.before.length ? [lineOf(null, "Before", write(content.before[place]))] : [];
  return [headOf(content, place, write(total)), ...lines, ...before];
}

function lineTip(content, place, write) {
  const isKnown = (value) => value !== null && value !== undefined;
  const lines = content.lines.filter((line) => isKnown(line.values[place]))
    .map((line) => lineOf(line.color, line.label, write(line.values[place])));
  const bands = content.bands.filter((band) => isKnown(band.low[place]) && isKnown(band.high[place]))
    .map((band) => lineOf(band.color, band.label, `${write(band.low[place])} – ${write(band.high[place])}`));
  return [headOf(content, place, ""), ...lines, ...bands];
}

// A change of policy: a small pennant that leads to its entry in the audit.
function flagOf(plot, flag) {
  const link = document.createElement("a");
  link.className = "chart-flag";
  link.href = flag.address;
  link.title = flag.label;
  link.setAttribute("aria-label", flag.label);
  link.style.left = `${plot.valToPos(flag.time, "x")}px`;
  link.addEventListener("click", (event) => event.stopPropagation());
  return link;
}

function dayOf(at, content) {
  return new Intl.DateTimeFormat("en-CA", { timeZone: content.zone }).format(new Date(at * 1000));
}

// A minute of the zone's clock, as the picker of time ranges writes it.
function minuteOf(at, content) {
  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: content.zone });
  return `${dayOf(at, content)}T${clock.format(new Date(at * 1000))}`;
}

// The range from one interval to the end of another, as addresses name it: whole days, or minutes.
function span(address, low, high, content) {
  address.searchParams.delete("range");
  const isDays = content.step >= 86400;
  address.searchParams.set("from", isDays ? dayOf(low, content) : minuteOf(low, content));
  address.searchParams.set("to", isDays ? dayOf(high, content) : minuteOf(high + content.step, content));
  return address;
}

function zoom(plot, content) {
  if (plot.select.width < 8) return;
  const low = plot.posToIdx(plot.select.left), high = plot.posToIdx(plot.select.left + plot.select.width);
  location.assign(span(new URL(location.href), content.times[low], content.times[high], content));
}

function follow(plot, content) {
  if (plot.select.width >= 8 || plot.cursor.idx == null || !content.behind) return;
  location.assign(behind(content.times[plot.cursor.idx], content));
}

// What lies behind one interval.
function behind(at, content) {
  return span(new URL(content.behind, location.href), at, at, content);
}

// What a chart shows, in columns: [label, values].
function columnsOf(content) {
  if (content.kind === "lines") {
    return [
      ...content.lines.map((line) => [line.label, line.values]),
      ...content.bands.flatMap((band) => [[`${band.label}, from`, band.low], [`${band.label}, to`, band.high]]),
    ];
  }
  const columns = content.series.map((series) => [series.label, series.values]);
  if (columns.length > 1) columns.push(["All", content.times.map((_, place) => content.series.reduce((sum, series) => sum + series.values[place], 0))]);
  if (content.before.length) columns.push(["Before", content.before]);
  return columns;
}

const momentOf = (at, content) => (content.step < 86400 ? minuteOf(at, content).replace("T", " ") : dayOf(at, content));

// The same way as a click on the chart, for those who use no mouse.
function linkTo(address, text) {
  const link = document.createElement("a");
  link.className = "link";
  link.href = address.href;
  link.textContent = text;
  return link;
}

function cell(row, kind, text, isNumber) {
  const one = document.createElement(kind);
  one.textContent = text;
  if (kind === "th") one.scope = "col";
  if (isNumber) one.className = "right";
  row.append(one);
}

// The table is made when somebody opens it: most never do.
function fillTable(details) {
  const place = details.querySelector("[data-chart-rows]");
  if (!details.open || place.childElementCount) return;
  const { content, unit } = contentOf(details);
  const columns = columnsOf(content), write = FULL[unit] || FULL.count;
  const table = document.createElement("table");
  table.className = "grid-table";
  table.createCaption().className = "sr-only";
  table.caption.textContent = details.closest("figure").querySelector("[data-chart]").getAttribute("aria-label");
  const head = table.createTHead().insertRow();
  cell(head, "th", `${content.step < 86400 ? "From" : "Day"} (${content.zone})`, false);
  for (const [label] of columns) cell(head, "th", label, true);
  const body = table.createTBody();
  content.times.forEach((at, number) => {
    const row = body.insertRow();
    cell(row, "td", momentOf(at, content), false);
    if (content.behind) row.cells[0].replaceChildren(linkTo(behind(at, content), row.cells[0].textContent));
    for (const [, values] of columns) cell(row, "td", values[number] === null || values[number] === undefined ? "–" : write(values[number]), true);
  });
  place.append(table);
}

function contentOf(details) {
  const box = details.closest("figure").querySelector("[data-chart]");
  return { content: JSON.parse(document.getElementById(box.dataset.chart).textContent), unit: box.dataset.unit, name: box.dataset.chart };
}

// A cell of a file; text that a spreadsheet would run as a formula is made harmless.
function quoted(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveTable(details) {
  const { content, unit, name } = contentOf(details);
  const columns = columnsOf(content), suffix = UNITS[unit] ? ` (${UNITS[unit]})` : "";
  const rows = [
    [`from (${content.zone})`, ...columns.map(([label]) => `${label}${suffix}`)],
    ...content.times.map((at, number) => [momentOf(at, content), ...columns.map(([, values]) => values[number])]),
  ];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([rows.map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n"], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// `toggle` does not bubble; it is caught on its way down.
document.addEventListener("toggle", (event) => { if (event.target.matches?.("[data-chart-table]")) fillTable(event.target); }, true);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-chart-csv]");
  if (button) saveTable(button.closest("[data-chart-table]"));
});

function drawAll() {
  for (const box of document.querySelectorAll("[data-chart]")) draw(box);
}

let waits = 0;
addEventListener("resize", () => { clearTimeout(waits); waits = setTimeout(drawAll, 120); });
document.addEventListener("theme-changed", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("DOMContentLoaded", drawAll);
