// All that touches the document. Draws what it is given; decides nothing.

import { Ledger } from "./ledger.js";

const COUNT = new Intl.NumberFormat("en");
const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
// How often a screen reader may find a new summary of the strip.
const SUMMARY_MS = 2000;

export class View {
  #ids;
  #rows = new Map();
  #drawn = 0;
  #summarised = 0;
  #retryAt = 0;

  constructor(document) {
    this.#ids = (id) => document.getElementById(id);
  }

  on(id, action) {
    const button = this.#ids(id);
    button.addEventListener("click", () => action(button));
  }

  onRate(action) {
    const slider = this.#ids("rate");
    slider.addEventListener("input", () => {
      this.#ids("rate-value").textContent = `${slider.value}/s`;
      action(Number(slider.value));
    });
    // A reload may have kept the slider where it was.
    slider.dispatchEvent(new Event("input"));
  }

  greet(greeting) {
    setText(this.#ids("eyebrow"), "The API says");
    setText(this.#ids("dynamic-content"), greeting);
  }

  /** For a screen reader; nobody sees it. */
  announce(sentence) {
    this.#ids("announcer").textContent = sentence;
  }

  showReach({ up, why, retryAt }) {
    const banner = this.#ids("api-unreachable");
    this.#retryAt = up ? 0 : retryAt;
    // The text first: what is announced is what is there when the banner appears.
    if (!up) setText(this.#ids("api-unreachable-why"), `${why}. Trying again until it answers.`);
    banner.hidden = up;
    if (up) this.announce("The API answers again.");
  }

  draw(ledger, now) {
    this.#drawRetry(now);
    this.#drawFigures(ledger);
    this.#drawStrip(ledger, now);
    this.#drawInstances(ledger.rows(), now);
    this.#drawFailures(ledger);
  }

  #drawRetry(now) {
    const left = Math.ceil((this.#retryAt - now) / 1000);
    setText(this.#ids("api-unreachable-next"), left > 0 ? `Next try in ${left} s.` : "");
  }

  #drawFigures(ledger) {
    setText(this.#ids("total"), String(ledger.total));
    setText(this.#ids("failed"), COUNT.format(ledger.failures));
    setText(this.#ids("latency"), latency(ledger.meanLatency));
    setText(this.#ids("instance-count"), String(ledger.instances.size));
    this.#ids("failed-figure").classList.toggle("some", ledger.failures > 0);
  }

  #drawStrip(ledger, now) {
    const strip = this.#ids("strip");
    const fresh = ledger.outcomes.filter((outcome) => outcome.sequence > this.#drawn);
    if (ledger.sequence < this.#drawn) strip.replaceChildren();
    strip.append(...fresh.map(tick));
    while (strip.childElementCount > ledger.outcomes.length) strip.firstElementChild.remove();
    this.#drawn = ledger.sequence;
    if (now - this.#summarised < SUMMARY_MS || ledger.sequence === 0) return;
    this.#summarised = now;
    setText(this.#ids("strip-summary"), ledger.summary());
  }

  #drawInstances(rows, now) {
    this.#ids("empty").hidden = rows.length > 0;
    const list = this.#ids("instances");
    for (const [name, row] of this.#rows) {
      if (rows.some((instance) => instance.name === name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    rows.forEach((instance, place) => {
      const row = this.#rows.get(instance.name) ?? this.#newRow(instance);
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
      fill(row, instance, Ledger.state(instance, now));
    });
  }

  #newRow(instance) {
    const row = element("li", `instance hue-${instance.hue}`);
    row.dataset.instance = instance.name;
    const who = element("div", "who");
    who.append(element("span", "name", instance.name), element("span", "state"));
    const track = element("div", "track");
    track.append(element("div", "fill"));
    row.append(who, element("span", "count"), element("span", "share"), track);
    this.#rows.set(instance.name, row);
    return row;
  }

  #drawFailures(ledger) {
    const box = this.#ids("failures");
    box.hidden = ledger.failures === 0;
    const lines = [...ledger.kinds].map(([kind, count]) => `${kind}: ${COUNT.format(count)}`);
    const list = this.#ids("failure-kinds");
    while (list.childElementCount > lines.length) list.lastElementChild.remove();
    lines.forEach((line, place) => {
      if (!list.children[place]) list.append(element("li", ""));
      setText(list.children[place], line);
    });
  }
}

function fill(row, instance, state) {
  row.dataset.count = String(instance.count);
  row.classList.toggle("quiet", state.kind === "quiet");
  row.classList.toggle("back", state.kind === "back");
  setText(row.querySelector(".state"), state.text);
  setText(row.querySelector(".count"), `${COUNT.format(instance.count)} ${instance.count === 1 ? "answer" : "answers"}`);
  setText(row.querySelector(".share"), PERCENT.format(instance.share));
  row.querySelector(".fill").style.setProperty("--share", instance.share.toFixed(4));
}

function tick(outcome) {
  const mark = element("span", outcome.name ? `tick new hue-${outcome.hue}` : "tick new fail");
  mark.title = outcome.name ?? outcome.kind;
  return mark;
}

function latency(ms) {
  if (ms === null) return "–";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${COUNT.format(Math.round(ms))} ms`;
}

function element(name, className, text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Writes only what changed: anything else would make the browser lay out, and a reader read, for nothing. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
