/* SPDX-License-Identifier: MIT */
/* The instruments of the services, a page at a time: there may be tens of thousands, so they are asked for, not streamed. */
"use strict";

const INSTRUMENTS_SHOWN = 50;
const INSTRUMENTS_EVERY_MS = 2000;

const instruments = { offset: 0, total: 0, timer: null, names: "", before: new Map(), asked: 0 };

function options(select, names, first) {
  const chosen = select.value;
  select.replaceChildren(...first, ...names.map((name) => make("option", { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
}

/* The services that there are to choose from. */
instruments.services = function (names) {
  if (instruments.names === names.join()) return;
  instruments.names = names.join();
  options(byId("instruments-service"), names, [make("option", { value: "" }, "all")]);
  options(byId("add-service"), names, []);
};

/* Events a second since the last look. */
function eventRate(row, milliseconds) {
  const past = instruments.before.get(row.id);
  instruments.now.set(row.id, { events: row.events, at: milliseconds });
  return past === undefined || milliseconds <= past.at ? null : Math.max(0, ((row.events - past.events) * 1000) / (milliseconds - past.at));
}

function instrumentButton(text, action, row) {
  return app.actions.has("/api/ctl/" + action)
    ? make("button", { type: "button", "data-key": row.id + " " + action, "aria-label": text + " " + row.id, onclick: () => app.act(action, { feed: row.service, instrument: row.symbol }) }, text)
    : null;
}

function showInstruments(data) {
  instruments.total = data.total;
  instruments.now = new Map();
  const rows = data.instruments.map((row) => {
    const rate = eventRate(row, data.time_ms);
    return [row.symbol, row.service, make("td", {}, stateText(row.state)), rate === null ? "-" : formatCount(rate) + "/s", formatSeconds(row.lag_seconds), formatSeconds(row.age_seconds), row.gaps,
      row.bid === undefined ? "-" : row.bid + " / " + (row.ask || "-"),
      make("td", {}, make("div", { class: "buttons" }, instrumentButton("Resync", "resync", row), instrumentButton("Remove", "remove", row)))];
  });
  instruments.before = instruments.now;
  const last = Math.min(instruments.offset + rows.length, data.total);
  byId("instruments-count").textContent = data.total === 0 ? "none" : (instruments.offset + 1) + " to " + last + " of " + data.total;
  byId("instruments-back").disabled = instruments.offset === 0;
  byId("instruments-on").disabled = last >= data.total;
  keepFocus(() => fillTable("instruments-table", ["instrument", "service", "state", "#rate", "#lag", "#age", "#gaps", "#bid / ask", ""], rows, "No instrument."));
}

instruments.look = async function () {
  const asked = ++instruments.asked;
  const query = new URLSearchParams({ service: byId("instruments-service").value, state: byId("instruments-state").value, find: byId("instruments-find").value, offset: instruments.offset, limit: INSTRUMENTS_SHOWN });
  try {
    const response = await fetch("/api/instruments?" + query, { headers: app.headers() });
    if (response.ok && asked === instruments.asked) showInstruments(await response.json());
  } catch (error) {
    /* the page says elsewhere that the program is away */
  }
};

/* Only while they are seen. */
instruments.watch = function (seen) {
  clearInterval(instruments.timer);
  instruments.timer = seen ? setInterval(() => { if (!document.hidden) instruments.look(); }, INSTRUMENTS_EVERY_MS) : null;
  if (seen) instruments.look();
};

function turn(step) {
  instruments.offset = Math.max(0, instruments.offset + step);
  instruments.look();
}

instruments.start = function () {
  for (const id of ["instruments-service", "instruments-state", "instruments-find"]) {
    byId(id).addEventListener("input", () => turn(-instruments.offset));
  }
  byId("instruments-form").addEventListener("submit", (event) => event.preventDefault());
  byId("instruments-back").addEventListener("click", () => turn(-INSTRUMENTS_SHOWN));
  byId("instruments-on").addEventListener("click", () => turn(INSTRUMENTS_SHOWN));
};
