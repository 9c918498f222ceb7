// Puts the page together: what was sent (sender), what came of it (ledger), whether anyone is there (reach), and
// what of it is shown (view).

import { hello, whoami } from "./api.js";
import { Ledger } from "./ledger.js";
import { Reach } from "./reach.js";
import { Sender } from "./sender.js";
import { View } from "./view.js";

const HUNDRED = 100;
// The clocks in "quiet for 5 s" must move even when nothing happens.
const REDRAW_MS = 500;

const ledger = new Ledger();
const view = new View(document);
let drawing = 0;

const reach = new Reach(hello, {
  reached: (greeting) => view.greet(greeting),
  changed: (state) => view.showReach(state),
});

const sender = new Sender(ask, () => reach.isUp);

async function ask() {
  const start = performance.now();
  try {
    const instance = await whoami();
    const news = ledger.answered(instance, performance.now() - start, Date.now());
    reach.heardFrom();
    if (news) view.announce(news);
  } catch (failure) {
    ledger.failed(failure.message);
    reach.doubt();
  }
  draw();
}

function draw() {
  if (drawing) return;
  drawing = requestAnimationFrame(() => {
    drawing = 0;
    for (const news of ledger.notice(Date.now())) view.announce(news);
    view.draw(ledger, Date.now());
  });
}

view.on("send-one", async () => {
  await sender.one();
  view.announce(ledger.latest());
});

view.on("send-hundred", async (button) => {
  button.disabled = true;
  await sender.many(HUNDRED);
  button.disabled = false;
  view.announce(`${HUNDRED} sent. ${ledger.summary()}`);
});

view.on("stream-toggle", (button) => {
  const running = sender.toggleStream();
  button.setAttribute("aria-pressed", String(running));
  if (!running) view.announce(`Stream stopped. ${ledger.summary()}`);
});

view.on("reset", () => {
  ledger.clear();
  draw();
});

view.onRate((perSecond) => sender.setRate(perSecond));
setInterval(draw, REDRAW_MS);
reach.start();
draw();
