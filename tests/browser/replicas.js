// SPDX-License-Identifier: MIT
// The dashboards of several `sluice run` of one group in headless Chromium: each shows who owns what, as those say it who
// own it. Screenshots go to the folder that is named.
//   node replicas.js FOLDER NAME PARTITIONS ADDRESS...
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [folder, name, count, ...addresses] = process.argv.slice(2);
const PATIENCE_MS = 60000;

function check(condition, text) {
  if (!condition) throw new Error("not so: " + text);
  console.log("ok: " + text);
}

// Who owns each partition, asked of all: only who says it of itself counts. Null while that is not settled.
async function askOwners() {
  const owners = Array(Number(count)).fill(null);
  for (const address of addresses) {
    const view = await (await fetch(address + "/api/partitions")).json();
    for (const partition of view.partitions) {
      if (partition.state !== "owned") continue;
      if (owners[partition.id] !== null) return null;
      owners[partition.id] = view.replica;
    }
  }
  return owners.includes(null) ? null : owners;
}

async function settledOwners() {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const owners = await askOwners();
    if (owners !== null) return owners;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("nobody owns some of the partitions");
}

// What one page shows: of each partition the owner and whether it is this one's; how many each replica has.
function readPage() {
  const grid = [...document.querySelectorAll("#partitions-grid > *")].map((cell) => {
    const [id, ...owner] = cell.textContent.split(" ");
    return { id: Number(id), owner: owner.join(" "), mine: cell.classList.contains("mine"), title: cell.title };
  });
  const rows = [...document.querySelectorAll("#replicas-table tbody tr")].map((row) => [row.children[0].textContent, Number(row.children[1].textContent)]);
  return { facts: document.getElementById("partitions-facts").textContent, grid, replicas: Object.fromEntries(rows) };
}

// What is not as the owners say.
function differences(seen, owners, self) {
  const wrong = [];
  const shares = {};
  for (const owner of owners) shares[owner] = (shares[owner] || 0) + 1;
  if (seen.grid.length !== owners.length) wrong.push(seen.grid.length + " partitions");
  for (const cell of seen.grid) {
    if (cell.owner !== owners[cell.id]) wrong.push(`${cell.id} is ${owners[cell.id]}'s, not ${cell.owner}'s`);
    if (cell.mine !== (owners[cell.id] === self)) wrong.push(`${cell.id} is ${cell.mine ? "" : "not "}marked as its own`);
    if (cell.mine && !/, [0-9]+ instruments$/.test(cell.title)) wrong.push(`${cell.id} does not tell its instruments`);
  }
  if (JSON.stringify(Object.entries(seen.replicas).sort()) !== JSON.stringify(Object.entries(shares).sort())) wrong.push("replicas " + JSON.stringify(seen.replicas));
  if (!seen.facts.includes("redis") || !seen.facts.includes(self)) wrong.push(seen.facts);
  return wrong;
}

async function lookAt(browser, address, place) {
  const errors = [];
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(address);
  await page.click("#tab-partitions");
  await page.waitForSelector("#partitions-grid .mine", { timeout: PATIENCE_MS });
  const self = (await (await fetch(address + "/api/partitions")).json()).replica;
  let wrong = ["not looked yet"];
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end && wrong.length > 0; ) {
    const before = await settledOwners();
    wrong = differences(await page.evaluate(readPage), before, self);
    await page.waitForTimeout(100);
  }
  await page.screenshot({ path: path.join(folder, `replicas-${name}-${place + 1}.png`), fullPage: true });
  check(wrong.length === 0, `${self} shows who owns what ${JSON.stringify(wrong)}`);
  check(errors.length === 0, "nothing on the console " + JSON.stringify(errors));
  await context.close();
  return self;
}

async function main() {
  fs.mkdirSync(folder, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.SLUICE_CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    const selves = [];
    for (const [place, address] of addresses.entries()) selves.push(await lookAt(browser, address, place));
    const owners = new Set(await settledOwners());
    check(owners.size === addresses.length && selves.every((self) => owners.has(self)), "each of them has some, and nobody else");
  } finally {
    await browser.close();
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
