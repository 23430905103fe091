// SPDX-License-Identifier: MIT
// What keeps people out of a page: text that can hardly be read, controls without a name, ids that stand twice, tables without
// heads, controls that the keyboard does not reach or that do not show that it did. Rules of WCAG 2.1 AA.
"use strict";

// Runs in the page. What is wrong, in words.
function look() {
  const wrong = [];
  const name = (element) => element.tagName.toLowerCase() + (element.id ? "#" + element.id : "") + " \"" + element.textContent.trim().slice(0, 30) + "\"";
  const seen = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";
  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, below) => ({ r: top.r * top.a + below.r * (1 - top.a), g: top.g * top.a + below.g * (1 - top.a), b: top.b * top.a + below.b * (1 - top.a), a: 1 });
  const paper = (element) => {
    const layers = [];
    for (let at = element; at !== null; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), { r: 255, g: 255, b: 255, a: 1 });
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "");
    if (!own || !seen(element) || element.closest("svg, [disabled]") !== null) continue;
    const style = getComputedStyle(element);
    const behind = paper(element);
    const [high, low] = [light(over(colour(style.color), behind)), light(behind)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) wrong.push("contrast of " + contrast.toFixed(2) + ": " + name(element));
  }
  for (const element of document.querySelectorAll("button, a[href], input, select, textarea, [tabindex]")) {
    const labelled = element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || element.textContent.trim() ||
      (element.labels && element.labels.length > 0) || element.title;
    if (!labelled) wrong.push("without a name: " + name(element));
    if (element.tabIndex > 0) wrong.push("out of the order: " + name(element));
  }
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids.filter((one, at) => ids.indexOf(one) !== at)) wrong.push("twice: #" + id);
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-controls], [aria-describedby], label[for]")) {
    for (const attribute of ["aria-labelledby", "aria-controls", "aria-describedby", "for"]) {
      for (const id of (element.getAttribute(attribute) || "").split(" ").filter((one) => one !== "")) {
        if (document.getElementById(id) === null) wrong.push(attribute + " of nothing: " + id);
      }
    }
  }
  for (const table of document.querySelectorAll("table")) {
    if (seen(table) && table.querySelector("th") === null) wrong.push("a table without heads: " + name(table));
  }
  for (const picture of document.querySelectorAll("svg, canvas, img")) {
    const told = picture.closest("[aria-hidden=true], [aria-label], [role=img], figure") !== null || picture.querySelector("title") !== null || picture.alt !== undefined;
    if (seen(picture) && !told) wrong.push("a picture that says nothing: " + name(picture.parentElement));
  }
  if (!document.documentElement.lang) wrong.push("no language");
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  if (document.querySelector("main") === null) wrong.push("no main");
  return wrong;
}

// Each thing that the Tab key comes to, at most `most`: it must be seen, and look otherwise than before.
async function walk(page, most) {
  const wrong = [];
  for (let step = 0; step < most; step++) {
    await page.keyboard.press("Tab");
    const problem = await page.evaluate(() => {
      const at = document.activeElement;
      if (at === null || at === document.body) return "";
      const style = getComputedStyle(at);
      const shown = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
      const place = at.getBoundingClientRect();
      return shown && place.width > 0 ? "" : "the focus is not seen on " + at.tagName + " " + at.textContent.trim().slice(0, 30);
    });
    if (problem !== "") wrong.push(problem);
  }
  return wrong;
}

module.exports = { look, walk };
