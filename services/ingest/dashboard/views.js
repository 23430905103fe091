/* SPDX-License-Identifier: MIT */
/* Each view of the API as elements. Nothing from the wire is ever taken as HTML: text goes in as text. */
"use strict";

const TASKS_SHOWN_MAX = 1000;
const LOG_LINES_MAX = 500;

const memory = { feeds: new Map(), tasks: null, logs: [], latency: {} };

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") element.className = value;
    else if (name === "onclick") element.addEventListener("click", value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

/* What tells two values takes a line of its own, whatever they are just now. */
function facts(pairs) {
  return make("dl", {}, ...pairs.filter(([, value]) => value !== undefined).map(([name, value]) => make("div", { class: name.includes(" / ") ? "wide" : "" }, make("dt", {}, name), make("dd", {}, value))));
}

function stateText(state, reason) {
  return make("p", { class: "state is-" + state, title: reason || "" }, state);
}

function fillTable(id, heads, rows, empty) {
  const table = byId(id);
  const head = make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col", class: name.startsWith("#") ? "number" : "" }, name.replace("#", "")))));
  const cells = (row) => row.map((value, i) => (value instanceof HTMLTableCellElement ? value : make("td", { class: heads[i].startsWith("#") ? "number" : "" }, value === null || value === undefined ? "-" : value)));
  const body = make("tbody", {}, ...(rows.length > 0 ? rows.map((row) => make("tr", {}, ...cells(row))) : [make("tr", {}, make("td", { colspan: heads.length, class: "quiet" }, empty))]));
  table.replaceChildren(head, body);
}

/* ---- feeds ---- */

/* What is remembered of a feed from one second to the next: its rate. */
function rateOf(feed, milliseconds) {
  let past = memory.feeds.get(feed.id);
  if (past === undefined) {
    past = { history: [], rate: 0, messages: feed.messages, at: milliseconds };
    memory.feeds.set(feed.id, past);
  } else if (milliseconds > past.at) {
    past.rate = Math.max(0, ((feed.messages - past.messages) * 1000) / (milliseconds - past.at));
    past.messages = feed.messages;
    past.at = milliseconds;
    past.history.push(past.rate);
    if (past.history.length > SPARK_MAX) past.history.shift();
  }
  return past;
}

function feedButton(text, action, feed) {
  return app.actions.has("/api/ctl/" + action)
    ? make("button", { type: "button", "data-key": feed.id + " " + action, "aria-label": text + " " + feed.id, onclick: () => app.act(action, { feed: feed.id }) }, text)
    : null;
}

function feedCard(feed, past) {
  const lag = feed.lag_seconds || {};
  return make("article", { class: "card is-" + feed.state, "data-feed": feed.id },
    make("header", {}, make("h3", {}, feed.id), stateText(feed.state, feed.reason)),
    sparkline(past.history),
    facts([
      ["lag p50 / p99", formatSeconds(lag.p50) + " / " + formatSeconds(lag.p99)],
      ["done / all", feed.jobs === undefined ? undefined : feed.jobs - feed.jobs_left + " / " + feed.jobs + " (" + Math.floor(100 * feed.progress) + " %)"],
      ["rate", formatCount(past.rate) + "/s"],
      ["messages", formatCount(feed.messages)],
      ["instruments", feed.instruments],
      ["books stale", feed.books === undefined ? undefined : feed.stale_books + " / " + feed.books],
      ["gaps", feed.gaps],
      ["resyncs", feed.resyncs],
      ["lost", feed.lost],
      ["reconnects", feed.reconnects],
      ["age", formatSeconds(feed.age_seconds)],
    ]),
    feed.reason ? make("p", { class: "quiet" }, feed.reason) : null,
    make("div", { class: "buttons" },
      feed.state === "paused" ? feedButton("Resume", "resume", feed) : feedButton("Pause", "pause", feed),
      feedButton("Resync", "resync", feed), feedButton("Restart", "restart", feed)));
}

/* The cards are made anew each second; who stands on a button stays there. */
function keepFocus(change) {
  const key = document.activeElement === null ? undefined : document.activeElement.dataset.key;
  change();
  if (key !== undefined) {
    const same = document.querySelector('[data-key="' + CSS.escape(key) + '"]');
    if (same !== null) same.focus();
  }
}

function largest(feeds, name, part) {
  const values = feeds.map((feed) => (feed[name] || {})[part]).filter((value) => value !== undefined);
  return values.length > 0 ? Math.max(...values) : null;
}

function showFeeds(data) {
  const milliseconds = data.time_ms || Date.now();
  const pasts = data.feeds.map((feed) => rateOf(feed, milliseconds));
  const rate = pasts.reduce((sum, past) => sum + past.rate, 0);
  addPoint(milliseconds / 1000, {
    rate: [rate],
    lag: [largest(data.feeds, "lag_seconds", "p50"), largest(data.feeds, "lag_seconds", "p99")],
    latency: [memory.latency.p50, memory.latency.p99],
  });
  instruments.services(data.feeds.map((feed) => feed.id));
  if (byId("feeds").hidden) return;
  drawPlots();
  keepFocus(() => byId("feeds-list").replaceChildren(...data.feeds.map((feed, i) => feedCard(feed, pasts[i])),
    ...(data.feeds.length === 0 ? [make("p", { class: "quiet" }, "No feed runs.")] : [])));
}

/* ---- tasks ---- */

function showTasks(data) {
  memory.tasks = data;
  const depth = new Map();
  const wanted = byId("find-task").value.toLowerCase();
  const all = data.tasks || [];
  const rows = [];
  for (const task of all) {
    const level = depth.has(task.parent) ? depth.get(task.parent) + 1 : 0;
    depth.set(task.id, level);
    const text = (task.name + " " + task.state + " " + (task.wait || "")).toLowerCase();
    if (rows.length < TASKS_SHOWN_MAX && text.includes(wanted)) {
      const flags = [task.cancelled ? "cancelled" : "", task.stopping ? "stopping" : "", task.daemon ? "daemon" : ""].filter((flag) => flag !== "");
      rows.push([make("td", { class: "tree" }, "  ".repeat(level) + task.name), task.state, task.wait, task.wait === null ? "-" : formatSeconds(task.wait_seconds), task.restarts, formatBytes(task.stack_bytes), task.scope, flags.join(", ")]);
    }
  }
  byId("tasks-count").textContent = all.length + " tasks" + (rows.length < all.length ? ", " + rows.length + " shown" : "");
  fillTable("tasks-table", ["task", "state", "waits on", "#for", "#restarts", "#stack", "scope", "flags"], rows, "No task.");
}

/* ---- limits, sinks, partitions, gaps ---- */

function showLimits(data) {
  fillTable("limits-table", ["limit", "state", "#used", "#waiting", "#granted", "#refused", "#banned", "shared"],
    data.limits.map((limit) => [limit.id, stateText(limit.state), limit.used === undefined ? "-" : (limit.used * 100).toFixed(0) + " %", limit.waiting, limit.granted, limit.refused, limit.banned_seconds ? formatSeconds(limit.banned_seconds) : "-", limit.shared]),
    "No rate limit is in use.");
  const colours = { closed: "ok", "half-open": "degraded", open: "down" };
  fillTable("breakers-table", ["breaker", "state", "#failures", "#tries again in"],
    data.breakers.map((breaker) => [breaker.id, make("td", {}, make("p", { class: "state is-" + colours[breaker.state] }, breaker.state)), breaker.failures, breaker.opens_in_seconds === undefined ? "-" : formatSeconds(breaker.opens_in_seconds)]),
    "No circuit breaker is in use.");
}

function bar(share, text) {
  const inner = make("i", {});
  inner.style.width = (Math.min(1, Math.max(0, share)) * 100).toFixed(1) + "%";
  return make("div", { class: "bar", role: "img", "aria-label": text, title: text }, inner);
}

function showSinks(data) {
  memory.latency = { p50: largest(data.sinks, "latency_seconds", "p50"), p99: largest(data.sinks, "latency_seconds", "p99") };
  if (byId("sinks").hidden) return;
  byId("sinks-list").replaceChildren(...data.sinks.map((sink) => make("article", { class: "card is-" + sink.state, "data-sink": sink.id },
    make("header", {}, make("h3", {}, sink.id), stateText(sink.state, sink.reason)),
    sink.queue_capacity ? bar(sink.queued / sink.queue_capacity, sink.queued + " of " + sink.queue_capacity + " queued") : null,
    facts([
      ["latency p50 / p99", sink.latency_seconds === undefined ? "-" : formatSeconds(sink.latency_seconds.p50) + " / " + formatSeconds(sink.latency_seconds.p99)],
      ["kind", sink.kind],
      ["written", formatCount(sink.written)],
      ["queued", formatCount(sink.queued)],
      ["repeated", sink.repeated],
      ["dropped", sink.dropped],
      ["commits", sink.commits],
      ["retries", sink.retries],
      ["spool", sink.spool_bytes === undefined ? undefined : formatBytes(sink.spool_bytes)],
      ["spooled events", sink.spool_events],
    ]),
    sink.reason ? make("p", { class: "quiet" }, sink.reason) : null)),
    ...(data.sinks.length === 0 ? [make("p", { class: "quiet" }, "No sink.")] : []));
}

function showPartitions(data) {
  byId("partitions-facts").textContent = "Backend " + data.backend + "; this is " + data.replica + ".";
  fillTable("replicas-table", ["replica", "#partitions"], data.replicas.map((replica) => [replica.id, replica.partitions]), "No replica.");
  byId("partitions-grid").replaceChildren(...data.partitions.map((partition) => make("div", { class: partition.owner === data.replica ? "mine" : "", title: (partition.owner || "nobody") + ", " + partition.state + (partition.instruments === undefined ? "" : ", " + partition.instruments + " instruments") }, partition.id + " " + (partition.owner || "-"))));
}

function clock(milliseconds) {
  return new Date(milliseconds).toISOString().slice(11, 23);
}

function showGaps(data) {
  byId("gaps-count").textContent = data.total + " gaps since the start.";
  fillTable("gaps-table", ["time", "feed", "channel", "#from", "#to", "healed by", "#after"],
    data.gaps.map((gap) => [clock(gap.time_ms), gap.feed, gap.channel, gap.from_id, gap.to_id, gap.healed === null ? make("td", {}, stateText("degraded", "not healed yet")) : gap.healed, formatSeconds(gap.duration_seconds)]), "No gap.");
}

/* ---- runtime, log ---- */

function showRuntime(data) {
  const turn = data.turn_seconds || {};
  byId("facts").replaceChildren(...facts([
    ["up", formatSeconds(data.uptime_seconds)],
    ["tasks", data.tasks],
    ["restarts", data.restarts],
    ["turn p99", formatSeconds(turn.p99)],
    ["memory", formatBytes(data.resident_bytes)],
  ]).children);
  app.health(data.state, data.state === "running" ? "ok" : data.state === "draining" ? "paused" : "waiting");
}

const LEVELS = ["error", "warning", "info", "debug"];
const OWN_KEYS = new Set(["sequence", "time", "level", "task", "message"]);

function logLine(line) {
  const more = Object.entries(line).filter(([key]) => !OWN_KEYS.has(key)).map(([key, value]) => key + "=" + value).join(" ");
  return make("li", { class: line.level }, make("time", { datetime: line.time }, line.time.slice(11, 23)), " " + line.level + " ", make("span", { class: "task" }, line.task), " " + line.message + (more === "" ? "" : " " + more));
}

function showLogs() {
  if (byId("logs").hidden) return;
  const level = LEVELS.indexOf(byId("log-level").value);
  const wanted = byId("find-log").value.toLowerCase();
  const lines = memory.logs.filter((line) => LEVELS.indexOf(line.level) <= level && JSON.stringify(line).toLowerCase().includes(wanted));
  byId("logs-list").replaceChildren(...lines.reverse().map(logLine));
}

function addLogs(lines) {
  memory.logs.push(...lines);
  memory.logs.splice(0, Math.max(0, memory.logs.length - LOG_LINES_MAX));
  showLogs();
}
