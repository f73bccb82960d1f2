// What interop.js and its drivers share.
"use strict";
const FEW = 20; // records of a codec with acks 0 or 1, of a transaction
const WAIT_MS = 30000;

function must(isTrue, what) {
  if (!isTrue) throw new Error(what);
}

async function until(isTrue, what) {
  const deadline = Date.now() + WAIT_MS;
  while (!(await isTrue())) {
    must(Date.now() < deadline, `waited for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Keeps the error that tells why, instead of what came of it later. */
class Queue {
  records = [];
  error = null;

  take() {
    if (this.error) throw this.error;
    return this.records.splice(0);
  }
}

module.exports = { FEW, Queue, WAIT_MS, must, until };
