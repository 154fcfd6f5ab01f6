/** Waits for the server: until its models are loaded, after it was away, and until a token is given. */

import { ask, listen, wait } from "./api.js";
import { read, update } from "./store.js";

const POLL = 1500;
let isWaiting = false;

/** Starts to ask, and goes on whenever the server is lost. */
export function startServer() {
  listen((event) => {
    if (event === "unauthorized") update({ server: "signed-out" });
    if (event === "busy" && !read().busy) update({ busy: true });
    if (event === "answered" && read().busy) update({ busy: false });
  });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && lookAgain());
  return waitForServer();
}

/** Whoever comes back to the page may come back to another catalogue, which a running server takes up by itself. */
export async function lookAgain() {
  const { server, ready } = read();
  if (server !== "ready") return;
  try {
    const now = await ask("ready");
    if (now.catalogue_made !== ready.catalogue_made || now.catalogue_is_old !== ready.catalogue_is_old) await waitForServer();
  } catch (error) {
    if (error.code === "unreachable") serverLost();
  }
}

/** Asks until there is an answer; then what failed before is asked again. */
export async function waitForServer() {
  if (isWaiting) return;
  isWaiting = true;
  try {
    while (!(await look())) await wait(POLL);
  } finally {
    isWaiting = false;
  }
}

/** Somebody's request found nobody there. */
export function serverLost() {
  update({ server: "unreachable" });
  return waitForServer();
}

async function look() {
  try {
    const ready = await ask("ready");
    const vocabulary = await ask("vocabulary");
    update({ ready, vocabulary, server: "ready", epoch: read().epoch + 1 });
    return true;
  } catch (error) {
    if (error.code === "unauthorized") return true;
    update({ server: error.code === "not_ready" ? "loading" : "unreachable" });
    return false;
  }
}
