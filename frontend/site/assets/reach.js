// Whether the API can be reached at all. One failed request proves nothing (one instance may have been stopped in the
// middle of it), so a doubt is settled by asking for the greeting; while that fails, it is asked for again, ever slower.

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;
// Without other traffic, look now and then.
const IDLE_CHECK_MS = 5000;

export class Reach {
  #check;
  #tell;
  #timer = 0;
  #delay = FIRST_RETRY_MS;
  #checking = false;
  #lastHeard = 0;
  isUp = true;

  /** `check` resolves to the greeting; `tell.reached(greeting)` and `tell.changed(state)` hear what comes of it. */
  constructor(check, tell) {
    this.#check = check;
    this.#tell = tell;
  }

  start() {
    this.#verify();
    // Somebody who comes back to the tab, or to the network, should not wait for the next attempt.
    addEventListener("online", () => this.#verify());
    document.addEventListener("visibilitychange", () => document.hidden || this.#verify());
  }

  /** An answer arrived: no need to ask. */
  heardFrom() {
    this.#lastHeard = Date.now();
    if (!this.isUp) this.#verify();
  }

  /** A request failed: find out whether all would. */
  doubt() {
    if (this.isUp) this.#verify();
  }

  async #verify() {
    if (this.#checking) return;
    this.#checking = true;
    clearTimeout(this.#timer);
    try {
      const greeting = await this.#check();
      this.#lastHeard = Date.now();
      this.#tell.reached(greeting);
      this.#up();
    } catch (failure) {
      this.#down(failure);
    }
    this.#checking = false;
  }

  #up() {
    if (!this.isUp) this.#tell.changed({ up: true });
    this.isUp = true;
    this.#delay = FIRST_RETRY_MS;
    this.#timer = setTimeout(() => this.#lookAgain(), IDLE_CHECK_MS);
  }

  #down(failure) {
    this.isUp = false;
    // A little apart from each other, so that many pages do not come back in the same instant.
    const wait = this.#delay * (0.85 + 0.3 * Math.random());
    this.#delay = Math.min(this.#delay * 2, LONGEST_RETRY_MS);
    this.#tell.changed({ up: false, why: failure.message, retryAt: Date.now() + wait });
    this.#timer = setTimeout(() => this.#verify(), wait);
  }

  #lookAgain() {
    const heardLately = Date.now() - this.#lastHeard < IDLE_CHECK_MS;
    if (document.hidden || heardLately) {
      this.#timer = setTimeout(() => this.#lookAgain(), IDLE_CHECK_MS);
      return;
    }
    this.#verify();
  }
}
