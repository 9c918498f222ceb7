// What came of the requests: pure bookkeeping, no clock of its own and no DOM.

// How many of the latest outcomes are kept; more than the widest strip shows.
const LATEST = 160;
// An instance is quiet after this long without an answer ...
const QUIET_MS = 3000;
// ... if meanwhile so many times more requests were sent than it usually takes to meet it once. With random choice, six
// is wrong once in four hundred times.
const QUIET_TURNS = 6;
const QUIET_LEAST = 8;
// How long "back" stays to be seen.
const BACK_MS = 6000;
// Colours in the style sheet.
const HUES = 8;

export class Ledger {
  constructor() {
    this.hues = new Map();
    this.clear();
  }

  clear() {
    this.total = 0;
    this.failures = 0;
    this.kinds = new Map();
    this.outcomes = [];
    this.sequence = 0;
    this.latencySum = 0;
    this.instances = new Map();
  }

  /** Counts an answer. Returns a sentence if it is news: somebody who was quiet is back. */
  answered(name, latency, now) {
    const instance = this.instances.get(name) ?? this.#welcome(name);
    this.total += 1;
    this.latencySum += latency;
    instance.count += 1;
    const away = now - instance.last;
    const returned = instance.quiet;
    Object.assign(instance, { last: now, quiet: false, lastSequence: this.sequence + 1, share: instance.count / this.total });
    this.#remember({ name, hue: instance.hue });
    if (!returned) return null;
    Object.assign(instance, { backAt: now, away });
    return `${name} is back after ${seconds(away)}.`;
  }

  failed(kind) {
    this.failures += 1;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.#remember({ kind });
  }

  /** Marks who has gone quiet since, and returns a sentence for each. */
  notice(now) {
    const gone = [...this.instances.values()].filter((instance) => !instance.quiet && this.#isQuiet(instance, now));
    for (const instance of gone) instance.quiet = true;
    return gone.map((instance) => `${instance.name} has gone quiet.`);
  }

  /** By name, so that rows keep their places. A quiet instance's share is the one it had when it last answered. */
  rows() {
    return [...this.instances.values()]
      .sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))
      .map((instance) => ({ ...instance, share: instance.quiet ? instance.share : instance.count / this.total }));
  }

  /** What to say of an instance, and how: "quiet", "back" or plainly. */
  static state(instance, now) {
    if (instance.quiet) return { kind: "quiet", text: `quiet for ${seconds(now - instance.last)}` };
    if (now - instance.backAt < BACK_MS) return { kind: "back", text: `back after ${seconds(instance.away)}` };
    const ago = now - instance.last;
    return { kind: "plain", text: ago < 1500 ? "answering" : `last answer ${seconds(ago)} ago` };
  }

  get meanLatency() {
    return this.total ? this.latencySum / this.total : null;
  }

  latest() {
    const outcome = this.outcomes.at(-1);
    if (!outcome) return "";
    return outcome.name ? `${outcome.name} answered.` : `Failed: ${outcome.kind}.`;
  }

  summary() {
    const shares = this.rows().map((row) => `${row.name} ${row.count}`);
    const failures = this.failures ? [`${this.failures} failed`] : [];
    return [...shares, ...failures].join(", ");
  }

  #welcome(name) {
    // Somebody who was here before "start over" keeps the colour.
    if (!this.hues.has(name)) this.hues.set(name, this.hues.size % HUES);
    const instance = { name, hue: this.hues.get(name), count: 0, last: 0, quiet: false, share: 0, backAt: -Infinity, away: 0 };
    this.instances.set(name, instance);
    return instance;
  }

  #remember(outcome) {
    this.sequence += 1;
    this.outcomes.push({ ...outcome, sequence: this.sequence });
    if (this.outcomes.length > LATEST) this.outcomes.shift();
  }

  #isQuiet(instance, now) {
    const missed = this.sequence - instance.lastSequence;
    const enough = Math.max(QUIET_LEAST, QUIET_TURNS / instance.share);
    return now - instance.last >= QUIET_MS && missed >= enough;
  }
}

function seconds(ms) {
  const whole = Math.max(1, Math.round(ms / 1000));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}
