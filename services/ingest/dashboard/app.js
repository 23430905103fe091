/* SPDX-License-Identifier: MIT */
/* The page: the stream of live views, tabs, token, actions. */
"use strict";

const ALWAYS = ["runtime", "feeds", "sinks", "logs"];
const TABS = ["feeds", "tasks", "limits", "sinks", "partitions", "gaps", "logs"];
const RETRY_MAX_MS = 10000;

const app = { tab: "feeds", actions: new Set(), stream: null, retry: 500, asked: false };

/* ---- token ---- */

app.token = function () {
  return sessionStorage.getItem("sluice-token");
};

/* The program prints a link with the token behind '#', which no server sees; it leaves the address bar at once. */
function takeTokenFromAddress() {
  const match = /^#token=([\x21-\x7e]+)$/.exec(location.hash);
  if (match !== null) {
    sessionStorage.setItem("sluice-token", match[1]);
    history.replaceState(null, "", location.pathname);
  }
}

app.headers = headers;

function headers(more) {
  const token = app.token();
  return token === null ? { ...more } : { ...more, Authorization: "Bearer " + token };
}

function askForToken() {
  byId("token-input").value = "";
  byId("token-dialog").showModal();
}

/* ---- what is said below ---- */

app.notice = function (text) {
  const element = byId("notice");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(app.noticeTimer);
  app.noticeTimer = setTimeout(() => { element.hidden = true; }, 6000);
};

app.health = function (text, state) {
  const element = byId("health");
  if (element.textContent !== text) element.textContent = text;
  element.className = "state is-" + state;
};

/* ---- actions ---- */

app.act = async function (action, body) {
  if (app.token() === null) {
    app.notice("This needs the token.");
    askForToken();
    return;
  }
  try {
    const response = await fetch("/api/ctl/" + action, { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body) });
    const answer = await response.json();
    app.notice(response.ok ? action + ": done" : action + ": " + answer.error.message);
    if (response.status === 401) askForToken();
  } catch (error) {
    app.notice(action + ": " + error.message);
  }
};

/* ---- the stream ---- */

const SHOW = { runtime: showRuntime, feeds: showFeeds, tasks: showTasks, limits: showLimits, sinks: showSinks, partitions: showPartitions, gaps: showGaps, logs: addLogs };

function takeEvent(text) {
  let name = "";
  const data = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (SHOW[name] !== undefined && data.length > 0) SHOW[name](JSON.parse(data.join("\n")));
}

async function read(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      takeEvent(text.slice(0, end));
      text = text.slice(end + 2);
    }
  }
}

async function loadIndex() {
  const [index, version] = await Promise.all([fetch("/api/", { headers: headers() }), fetch("/api/version", { headers: headers() })]);
  if (index.ok) app.actions = new Set((await index.json()).actions);
  if (version.ok) byId("version").textContent = (await version.json()).version;
  byId("drain").hidden = !app.actions.has("/api/ctl/drain");
  byId("add").hidden = !app.actions.has("/api/ctl/add");
}

/* One connection for what is shown; a change of tab makes another. */
async function listen(controller) {
  const views = [...new Set([...ALWAYS, app.tab])].join(",");
  const response = await fetch("/api/events?views=" + views, { headers: headers(), signal: controller.signal });
  if (response.status === 401) {
    app.health("locked", "paused");
    if (!app.asked) askForToken();
    app.asked = true;
    throw new Error("the token is needed");
  }
  if (!response.ok) throw new Error("status " + response.status);
  app.retry = 500;
  memory.logs = [];
  await loadIndex();
  await read(response);
}

async function connect() {
  const controller = new AbortController();
  if (app.stream !== null) app.stream.abort();
  clearTimeout(app.retryTimer);
  app.stream = controller;
  try {
    await listen(controller);
    throw new Error("the stream ended");
  } catch (error) {
    if (app.stream !== controller) return; /* another one took its place */
    if (byId("health").textContent !== "locked") app.health("away", "down");
    app.retryTimer = setTimeout(connect, app.retry);
    app.retry = Math.min(app.retry * 2, RETRY_MAX_MS);
  }
}

/* ---- tabs, theme, keys ---- */

function choose(tab, focus) {
  const changed = app.tab !== tab;
  app.tab = tab;
  for (const name of TABS) {
    const button = byId("tab-" + name);
    button.setAttribute("aria-selected", String(name === tab));
    button.tabIndex = name === tab ? 0 : -1;
    byId(name).hidden = name !== tab;
  }
  if (focus) byId("tab-" + tab).focus();
  if (tab === "feeds") remakePlots();
  instruments.watch(tab === "feeds");
  if (tab === "logs") showLogs();
  if (changed) connect();
}

function setTheme(theme) {
  if (theme === null) document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
  remakePlots();
}

function turnTheme() {
  const dark = document.documentElement.dataset.theme === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : document.documentElement.dataset.theme === "dark";
  const theme = dark ? "light" : "dark";
  localStorage.setItem("sluice-theme", theme);
  setTheme(theme);
}

function onKey(event) {
  if (event.key === "Escape" && event.target.matches("main input, main select")) event.target.blur();
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input, select, dialog *")) return;
  const place = TABS.indexOf(app.tab);
  if (event.key >= "1" && event.key <= String(TABS.length)) {
    choose(TABS[Number(event.key) - 1], true);
  } else if (event.target.matches("[role=tab]") && event.key === "ArrowRight") {
    choose(TABS[(place + 1) % TABS.length], true);
  } else if (event.target.matches("[role=tab]") && event.key === "ArrowLeft") {
    choose(TABS[(place + TABS.length - 1) % TABS.length], true);
  } else if (event.key === "/") {
    const find = document.querySelector("[role=tabpanel]:not([hidden]) input[type=search]");
    if (find === null) return;
    find.focus();
  } else {
    return;
  }
  event.preventDefault();
}

function start() {
  takeTokenFromAddress();
  setTheme(localStorage.getItem("sluice-theme"));
  for (const name of TABS) byId("tab-" + name).addEventListener("click", () => choose(name, false));
  byId("theme").addEventListener("click", turnTheme);
  byId("token").addEventListener("click", askForToken);
  byId("token-cancel").addEventListener("click", () => byId("token-dialog").close());
  byId("token-form").addEventListener("submit", () => {
    const token = byId("token-input").value.trim();
    if (token === "") sessionStorage.removeItem("sluice-token");
    else sessionStorage.setItem("sluice-token", token);
    connect();
  });
  byId("drain").addEventListener("click", () => { if (confirm("Drain: stop taking in, empty the sinks, end?")) app.act("drain", {}); });
  byId("add").addEventListener("submit", (event) => {
    event.preventDefault();
    app.act("add", Object.fromEntries(new FormData(event.target)));
  });
  instruments.start();
  byId("find-task").addEventListener("input", () => { if (memory.tasks !== null) showTasks(memory.tasks); });
  byId("find-log").addEventListener("input", showLogs);
  byId("log-level").addEventListener("change", showLogs);
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", remakePlots);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; remakePlots(); } });
  choose("feeds", false);
  connect();
}

addEventListener("DOMContentLoaded", start);
