// Sends requests: one, many, or a steady stream.

// What a browser opens to one host over HTTP/1.1; more would only wait, and their waiting would count as latency.
const AT_ONCE = 6;
const START_RATE = 10;

export class Sender {
  #ask;
  #mayStream;
  #inFlight = 0;
  #timer = 0;
  #rate = START_RATE;

  /** `ask` sends one request and never rejects; while `mayStream` is false the stream holds still. */
  constructor(ask, mayStream) {
    this.#ask = ask;
    this.#mayStream = mayStream;
  }

  async one() {
    this.#inFlight += 1;
    await this.#ask();
    this.#inFlight -= 1;
  }

  async many(count) {
    let left = count;
    const lane = async () => {
      while (left > 0) {
        left -= 1;
        await this.one();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  }

  /** Starts or stops; returns whether it now runs. */
  toggleStream() {
    if (this.#timer) {
      clearInterval(this.#timer);
      this.#timer = 0;
    } else {
      this.#run();
    }
    return this.#timer !== 0;
  }

  setRate(perSecond) {
    this.#rate = perSecond;
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#run();
  }

  #run() {
    this.#timer = setInterval(() => {
      // A beat is left out rather than queued when answers are slow.
      if (this.#inFlight < AT_ONCE && this.#mayStream()) this.one();
    }, 1000 / this.#rate);
  }
}
