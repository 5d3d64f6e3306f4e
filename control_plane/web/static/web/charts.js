// Stacked bars over time with uPlot. The numbers come as JSON beside the figure; a table and CSV carry the same.
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
const AXIS_MONEY = (nano) => {
  const dollars = nano / 1e9;
  if (dollars >= 1000) return `$${dollars / 1000}k`;
  return `$${Number(dollars.toPrecision(6))}`;
};

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const drawn = new Map();

function draw(box) {
  const content = JSON.parse(document.getElementById(box.dataset.chart).textContent);
  drawn.get(box)?.destroy();
  box.replaceChildren();
  const write = box.dataset.unit === "money" ? MONEY : COUNT;
  const onAxis = box.dataset.unit === "money" ? AXIS_MONEY : COUNT;
  const layers = stack(content.series.map((series) => series.values));
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.hidden = true;
  const font = `11px ${token("--font-sans") || "sans-serif"}`;
  const bars = uPlot.paths.bars({ size: [0.72, 44], radius: 0 });
  const chart = new uPlot({
    width: box.clientWidth - 24,
    height: 240,
    padding: [8, 8, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), content.zone),
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true, range: (_, low, high) => [low - content.step / 2, high + content.step / 2] }, y: { range: (_, __, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      { stroke: token("--chart-axis"), font, grid: { show: false }, ticks: { show: false }, space: 64, size: 28,
        values: (_, splits) => splits.map((at) => tick(at, content)), splits: (plot) => ticks(content, plot.width) },
      { stroke: token("--chart-axis"), font, grid: { stroke: token("--chart-grid"), width: 1 }, ticks: { show: false },
        size: 64, values: (_, splits) => splits.map(onAxis) },
    ],
    // The tallest layer first, so that each lower one is drawn over it.
    series: [{}, ...layers.map((_, layer) => {
      const place = layers.length - 1 - layer;
      return { fill: token(`--series-${Math.min(place, 8)}`), stroke: token("--color-base-100"), width: 1, paths: bars, points: { show: false } };
    })],
    hooks: {
      setCursor: [(plot) => point(plot, tip, content, write)],
      setSelect: [(plot) => zoom(plot, content)],
      ready: [(plot) => {
        plot.over.append(tip, ...content.flags.map((flag) => flagOf(plot, flag)));
        plot.over.addEventListener("click", () => follow(plot, content));
        plot.over.addEventListener("mouseleave", () => { tip.hidden = true; });
      }],
    },
  }, [content.times, ...layers.slice().reverse()], box);
  drawn.set(box, chart);
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

function point(plot, tip, content, write) {
  const place = plot.cursor.idx;
  if (place === null || place === undefined || plot.cursor.left < 0) {
    tip.hidden = true;
    return;
  }
  const head = document.createElement("div");
  const title = document.createElement("b");
  title.textContent = tick(content.times[place], content);
  const total = document.createElement("span");
  total.textContent = write(content.series.reduce((sum, series) => sum + series.values[place], 0));
  head.append(title, total);
  const lines = content.series.map((series, number) => [series, number])
    .filter(([series]) => series.values[place] > 0).reverse()
    .map(([series, number]) => {
      const line = document.createElement("div");
      const mark = document.createElement("i");
      mark.style.background = token(`--series-${Math.min(number, 8)}`);
      const label = document.createElement("span");
      label.textContent = series.label;
      const value = document.createElement("span");
      value.textContent = write(series.values[place]);
      line.append(mark, label, value);
      return line;
    });
  tip.replaceChildren(head, ...lines);
  tip.hidden = false;
  const isRight = plot.cursor.left > plot.over.clientWidth / 2;
  tip.style.top = "0px";
  tip.style.left = isRight ? "" : `${plot.cursor.left + 14}px`;
  tip.style.right = isRight ? `${plot.over.clientWidth - plot.cursor.left + 14}px` : "";
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
  const at = content.times[plot.cursor.idx];
  location.assign(span(new URL(content.behind, location.href), at, at, content));
}

function drawAll() {
  for (const box of document.querySelectorAll("[data-chart]")) draw(box);
}

let waits = 0;
addEventListener("resize", () => { clearTimeout(waits); waits = setTimeout(drawAll, 120); });
document.addEventListener("theme-changed", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("DOMContentLoaded", drawAll);
