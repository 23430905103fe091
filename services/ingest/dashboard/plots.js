/* SPDX-License-Identifier: MIT */
/* The three plots of the overview, and the sparklines of the feeds. */
"use strict";

const POINTS_MAX = 300;
const SPARK_MAX = 60;

const plots = {
  times: [],
  series: { rate: [[]], lag: [[], []], latency: [[], []] },
  made: {},
};

function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function formatSeconds(value) {
  if (value === null || value === undefined) return "-";
  if (value === 0) return "0";
  if (value < 1e-3) return (value * 1e6).toFixed(0) + " µs";
  if (value < 1) return (value * 1e3).toFixed(value < 0.1 ? 1 : 0) + " ms";
  return value.toFixed(value < 10 ? 2 : 0) + " s";
}

function formatCount(value) {
  if (value === null || value === undefined) return "-";
  if (value >= 1e9) return (value / 1e9).toFixed(2) + " G";
  if (value >= 1e6) return (value / 1e6).toFixed(2) + " M";
  if (value >= 1e4) return (value / 1e3).toFixed(1) + " k";
  return String(Math.round(value));
}

function formatBytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return (unit === 0 ? value : value.toFixed(1)) + " " + units[unit];
}

function makePlot(name, labels, format) {
  const element = document.getElementById("plot-" + name);
  const axis = { stroke: cssColour("--quiet"), grid: { stroke: cssColour("--grid"), width: 1 }, ticks: { stroke: cssColour("--grid"), width: 1 } };
  const colours = [cssColour("--plot-a"), cssColour("--plot-b")];
  const options = {
    width: Math.max(element.clientWidth, 100),
    height: 160,
    cursor: { y: false },
    scales: { x: { time: true }, y: { range: (plot, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [axis, { ...axis, size: 62, values: (plot, values) => values.map(format) }],
    series: [{}, ...labels.map((label, i) => ({ label, stroke: colours[i], width: 1.5, points: { show: false }, value: (plot, value) => (value === null ? "-" : format(value)) }))],
  };
  return new uPlot(options, plotData(name), element);
}

function plotData(name) {
  return [plots.times, ...plots.series[name]];
}

function drawPlots() {
  if (plots.made.rate === undefined) {
    plots.made = {
      rate: makePlot("rate", ["messages/s"], formatCount),
      lag: makePlot("lag", ["p50", "p99"], formatSeconds),
      latency: makePlot("latency", ["p50", "p99"], formatSeconds),
    };
    return;
  }
  for (const name of Object.keys(plots.made)) plots.made[name].setData(plotData(name));
}

/* Other colours, or another width: they are made anew. */
function remakePlots() {
  for (const name of Object.keys(plots.made)) plots.made[name].destroy();
  plots.made = {};
  if (!document.getElementById("feeds").hidden) drawPlots();
}

function addPoint(seconds, values) {
  plots.times.push(seconds);
  for (const name of Object.keys(plots.series)) {
    plots.series[name].forEach((points, i) => points.push(values[name][i]));
  }
  if (plots.times.length > POINTS_MAX) {
    plots.times.shift();
    for (const name of Object.keys(plots.series)) plots.series[name].forEach((points) => points.shift());
  }
}

function sparkline(history) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "polyline");
  const top = Math.max(1, ...history);
  svg.setAttribute("viewBox", "0 0 " + (SPARK_MAX - 1) + " 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("points", history.map((value, i) => (SPARK_MAX - history.length + i) + "," + (19 - (18 * value) / top).toFixed(1)).join(" "));
  svg.append(line);
  return svg;
}
