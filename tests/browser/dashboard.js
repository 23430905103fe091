// SPDX-License-Identifier: MIT
// The dashboard of a running `sluice demo` in headless Chromium: every view shows live data, the actions work, nothing
// is said on the console, and it fits narrow screens. Screenshots go to the folder that is named.
//   node dashboard.js PROGRAM FOLDER light|dark|actions|token|schema|end
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const access = require("./access.js");
const { problems } = require("./schema.js");

const [program, folder, chosen] = process.argv.slice(2);
const TABS = ["feeds", "tasks", "limits", "sinks", "partitions", "gaps", "logs"];
const PATIENCE_MS = 60000; // the machine may have others to serve

function check(condition, text) {
  if (!condition) throw new Error("not so: " + text);
  console.log("ok: " + text);
}

// Starts the demo; gives its process and the address that it prints.
function startDemo() {
  const database = path.join(folder, chosen + ".db");
  fs.rmSync(database, { force: true });
  const demo = spawn(program, ["demo", "--instruments", "8", "--rate", "400", "--cut-every", "2s", "--quiet", "--admin-port", "0", "--database", database], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    let text = "";
    demo.on("exit", (code) => reject(new Error("the demo ended with " + code)));
    demo.stdout.on("data", (data) => {
      text += data;
      const match = /dashboard at (http:\S+)/.exec(text);
      if (match !== null) resolve({ demo, address: match[1] });
    });
  });
}

function listenForErrors(page, errors) {
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
}

async function shoot(page, name) {
  await page.screenshot({ path: path.join(folder, name + ".png"), fullPage: true });
}

async function number(page, selector, label) {
  return page.$eval(selector, (card, wanted) => {
    const entry = [...card.querySelectorAll("dl div")].find((div) => div.querySelector("dt").textContent === wanted);
    const [value, unit] = entry.querySelector("dd").textContent.split(/[\s/(]+/);
    return Number(value) * ({ k: 1e3, M: 1e6, G: 1e9 }[unit] || 1);
  }, label);
}

const FEED = "kraken-books"; // what actions are tried on
const CARD = `#feeds-list .card[data-feed="${FEED}"]`;

async function waitForState(page, state) {
  await page.waitForSelector(`${CARD}.is-${state}`, { timeout: PATIENCE_MS });
}

// `more` than it is now, at least; without it: any more.
async function waitForMore(page, selector, label, more) {
  const before = await number(page, selector, label) + (more === undefined ? 0 : more - 0.5);
  await page.waitForFunction(([where, wanted, low]) => {
    const entry = [...document.querySelectorAll(where + " dl div")].find((div) => div.querySelector("dt").textContent === wanted);
    if (entry === undefined) return false;
    const [value, unit] = entry.querySelector("dd").textContent.split(/[\s/(]+/);
    return Number(value) * ({ k: 1e3, M: 1e6, G: 1e9 }[unit] || 1) > low;
  }, [selector, label, before], { timeout: PATIENCE_MS });
}

// What each view must show before it counts as alive.
const ALIVE = {
  feeds: async (page) => {
    await waitForState(page, "ok");
    await waitForMore(page, "#feeds-list .card", "messages");
    await page.waitForFunction(() => [...document.querySelectorAll(".plot canvas")].length === 3 &&
      [...document.querySelectorAll("#plot-rate canvas, #plot-latency canvas")].every((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte !== 0)), null, { timeout: PATIENCE_MS });
    await page.waitForFunction(() => document.querySelectorAll("#instruments-table tbody tr").length === 48 && [...document.querySelectorAll("#instruments-table tbody tr")].every((row) => row.children[3].textContent !== "-"), null, { timeout: PATIENCE_MS });
    await page.waitForFunction(() => document.querySelector("#feeds-list svg polyline").getAttribute("points").split(" ").length >= 3, null, { timeout: PATIENCE_MS });
  },
  tasks: async (page) => {
    await page.waitForFunction(() => [...document.querySelectorAll("#tasks-table td.tree")].some((cell) => cell.textContent.trim() === "stream"), null, { timeout: PATIENCE_MS });
    const waits = await page.$$eval("#tasks-table tbody tr", (rows) => rows.filter((row) => row.children[2].textContent !== "-").length);
    check(waits >= 5, "tasks tell what they wait for");
    await page.fill("#find-task", "exchange");
    check((await page.$$("#tasks-table tbody tr")).length < waits, "tasks can be found by name");
    await page.fill("#find-task", "");
  },
  limits: async (page) => {
    await page.waitForFunction(() => document.querySelectorAll("#limits-table tbody tr").length === 3 && document.querySelectorAll("#breakers-table tbody tr").length === 3, null, { timeout: PATIENCE_MS });
  },
  sinks: async (page) => {
    await page.waitForSelector("#sinks-list .card.is-ok", { timeout: PATIENCE_MS });
    await waitForMore(page, "#sinks-list .card", "commits");
    check(/[0-9] (ms|s|µs) \//.test(await page.$eval("#sinks-list .card", (card) => card.textContent)), "sinks tell how late they are");
  },
  partitions: async (page) => {
    await page.waitForSelector("#partitions-grid .mine", { timeout: PATIENCE_MS });
  },
  gaps: async (page) => {
    await page.waitForFunction(() => [...document.querySelectorAll("#gaps-table tbody td")].some((cell) => cell.textContent === "snapshot"), null, { timeout: PATIENCE_MS });
  },
  logs: async (page) => {
    await page.waitForFunction(() => document.querySelectorAll("#logs-list li").length >= 2, null, { timeout: PATIENCE_MS });
    await page.selectOption("#log-level", "error");
    const errors = (await page.$$("#logs-list li")).length;
    await page.selectOption("#log-level", "debug");
    check((await page.$$("#logs-list li")).length > errors, "lines of the log are chosen by level");
  },
};

async function showAll(browser, address, look) {
  const errors = [];
  const context = await browser.newContext({ viewport: { width: look.width, height: 800 }, colorScheme: look.theme });
  const page = await context.newPage();
  listenForErrors(page, errors);
  await page.goto(address);
  check(!page.url().includes("token"), "the token does not stay in the address");
  for (const [place, tab] of TABS.entries()) {
    await page.keyboard.press("Escape"); // out of what was typed into
    await page.keyboard.press(String(place + 1));
    check(await page.$eval("#" + tab, (panel) => !panel.hidden), tab + " is reached by its key");
    await ALIVE[tab](page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(wide <= look.width, tab + " fits " + look.width + " pixels");
    await shoot(page, `${look.theme}-${look.width}-${tab}`);
    const barriers = [...(await page.evaluate(access.look)), ...(await access.walk(page, 25))];
    check(barriers.length === 0, tab + " keeps nobody out " + JSON.stringify([...new Set(barriers)].slice(0, 12)));
  }
  await page.evaluate(() => {
    document.querySelector("main").insertAdjacentHTML("beforeend", "<p>faint</p><button></button><p id=twice></p><p id=twice></p>");
    const faint = [...document.querySelectorAll("main > p")].find((one) => one.textContent === "faint");
    faint.style.color = "#999"; // by script: the page's policy takes no styles in HTML
    faint.style.backgroundColor = "#aaa";
  });
  const planted = (await page.evaluate(access.look)).join();
  check(/contrast of 1\.\d+: p "faint".*without a name: button.*twice: #twice/.test(planted), "what keeps people out is found: " + planted);
  const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)[0]);
  check(look.theme === "dark" ? paper < 60 : paper > 200, "the theme is " + look.theme);
  await page.keyboard.press("Escape");
  await page.keyboard.press("7");
  await page.keyboard.press("ArrowLeft");
  check(await page.isVisible("#gaps"), "arrows go from tab to tab");
  check(errors.length === 0, "nothing on the console " + JSON.stringify(errors));
  await context.close();
}

async function waitForNotice(page, text) {
  await page.waitForFunction((wanted) => !document.getElementById("notice").hidden && document.getElementById("notice").textContent === wanted, text, { timeout: PATIENCE_MS });
}

async function act(page, name) {
  await page.click(`${CARD} button:text-is("${name}")`);
  await waitForNotice(page, name.toLowerCase() + ": done");
}

async function tryActions(browser, address) {
  const errors = [];
  const context = await browser.newContext();
  const page = await context.newPage();
  listenForErrors(page, errors);
  await page.goto(address);
  await waitForState(page, "ok");
  await act(page, "Pause");
  await waitForState(page, "paused");
  await shoot(page, "paused");
  let still = -1; // what was on its way when it was paused may still come
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until && (await number(page, CARD, "messages")) !== still;) {
    still = await number(page, CARD, "messages");
    await page.waitForTimeout(1500);
  }
  check((await number(page, CARD, "messages")) === still, "a paused feed takes nothing in");
  await act(page, "Resume");
  await waitForState(page, "ok");
  await waitForMore(page, CARD, "messages");
  check(true, "pause and resume");
  const resyncs = waitForMore(page, CARD, "resyncs", 8);
  await act(page, "Resync");
  await resyncs;
  check(true, "resync makes each book anew");
  await waitForState(page, "ok");
  const connections = await number(page, CARD, "reconnects");
  await act(page, "Restart");
  await waitForMore(page, CARD, "reconnects");
  check((await number(page, CARD, "reconnects")) > connections, "restart");
  await page.selectOption("#instruments-service", FEED);
  await page.fill("#instruments-find", "ETH");
  await page.waitForFunction(() => document.getElementById("instruments-count").textContent === "1 to 1 of 1", null, { timeout: PATIENCE_MS });
  await page.waitForSelector('#instruments-table .is-ok', { timeout: PATIENCE_MS });
  const gaps = Number(await page.$eval("#instruments-table tbody tr", (row) => row.children[6].textContent));
  await page.click('#instruments-table button:text-is("Resync")');
  await waitForNotice(page, "resync: done");
  await page.waitForFunction((before) => Number(document.querySelector("#instruments-table tbody tr").children[6].textContent) > before, gaps, { timeout: PATIENCE_MS });
  check(true, "resync of one instrument");
  await page.click('#instruments-table button:text-is("Remove")');
  await waitForNotice(page, "remove: done");
  await page.waitForFunction(() => document.getElementById("instruments-count").textContent === "none", null, { timeout: PATIENCE_MS });
  await page.selectOption("#add-service", FEED);
  await page.fill('#add input[name="instrument"]', "ETH-USD");
  await page.click('#add button');
  await waitForNotice(page, "add: done");
  await page.waitForFunction(() => document.getElementById("instruments-count").textContent === "1 to 1 of 1", null, { timeout: PATIENCE_MS });
  check(true, "an instrument is removed and added");
  check(errors.length === 0, "nothing on the console " + JSON.stringify(errors));
  await context.close();
}

async function tryWithoutToken(browser, address) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address.replace(/#.*/, ""));
  await waitForState(page, "ok");
  await page.click(`${CARD} button:text-is("Pause")`);
  await page.waitForSelector("#token-dialog[open]");
  await page.fill("#token-input", "not-the-right-token");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#token-dialog:not([open])", { state: "attached" });
  await page.click(`${CARD} button:text-is("Pause")`);
  await page.waitForFunction(() => document.getElementById("notice").textContent.includes("needs the token"), null, { timeout: PATIENCE_MS });
  check((await page.$("#feeds-list .card.is-paused")) === null, "nothing is changed without the right token");
  await context.close();
}

async function tryEnd(browser, address, demo) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address);
  await waitForState(page, "ok");
  demo.removeAllListeners("exit");
  const ended = new Promise((resolve) => demo.on("exit", (code) => resolve(code)));
  demo.kill("SIGTERM");
  await page.waitForFunction(() => ["away", "draining"].includes(document.getElementById("health").textContent), null, { timeout: PATIENCE_MS });
  check((await ended) === 143, "the demo ends in order");
  await context.close();
}

// Every view is as /api/schema says, and every view that it lists is there.
async function trySchema(browser, address) {
  const base = address.replace(/\/#.*/, "");
  const schema = await (await fetch(base + "/api/schema")).json();
  await new Promise((resolve) => setTimeout(resolve, 5000)); // a cut, and so a gap
  for (const name of Object.keys(schema.$defs).filter((name) => name.startsWith("/"))) {
    const response = await fetch(base + name);
    const cut = name === "/readyz" && response.status === 503; // just now
    check(response.status === 200 || cut, name + " answers");
    const wrong = problems(schema, schema.$defs[name], await response.json(), name);
    check(wrong.length === 0, name + " is as the schema says " + JSON.stringify(wrong.slice(0, 5)));
  }
  const refused = await fetch(base + "/api/none");
  check(refused.status === 404 && problems(schema, schema.$defs.error, await refused.json(), "error").length === 0, "errors are as the schema says");
  check(problems(schema, schema.$defs["/api/feeds"], { feeds: [{ id: 1, state: "fine" }] }, "x").length > 4, "what is wrong is found");
}

const CASES = {
  schema: trySchema,
  light: (browser, address) => showAll(browser, address, { width: 1280, theme: "light" }),
  dark: (browser, address) => showAll(browser, address, { width: 390, theme: "dark" }),
  actions: tryActions,
  token: tryWithoutToken,
  end: tryEnd,
};

async function main() {
  fs.mkdirSync(folder, { recursive: true });
  const { demo, address } = await startDemo();
  const browser = await chromium.launch({ executablePath: process.env.SLUICE_CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await CASES[chosen](browser, address, demo);
  } finally {
    await browser.close();
    demo.kill("SIGKILL");
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
