/** Answers that follow what is asked: asked again when it changes, after a pause; an older answer never wins. */

import { ask } from "./api.js";
import { useStore } from "./store.js";
import { useEffect, useRef, useState } from "./ui.js";

const PAUSE = 250;
const MOST_REMEMBERED = 100;

/** @type {Map<string, any>} */
const remembered = new Map();

/** @typedef {{answer: any, error: any, pending: boolean, of: string, failed: string, again: () => void}} Answered */

const nothingYet = () => ({ answer: null, error: null, pending: false, of: "", failed: "" });

/**
 * The answer to a request, and the one before it while the new one is on its way; none after a request that failed.
 * @param {string} path
 * @param {unknown} body Null asks nothing.
 * @param {number} [pause] Milliseconds.
 * @returns {Answered} `of` is the body that `answer` is to, `failed` the one that `error` is to, as JSON.
 */
export function useAnswer(path, body, pause = PAUSE) {
  const epoch = useStore((state) => state.epoch);
  const isReady = useStore((state) => state.server === "ready");
  const [state, setState] = useState(nothingYet);
  const [turn, setTurn] = useState(0);
  const failed = useRef(false);
  const key = body === null ? "" : JSON.stringify(body);
  useEffect(() => {
    if (!key) {
      setState(nothingYet);
      return undefined;
    }
    const asked = `${epoch} ${path} ${key}`; // Another catalogue may answer otherwise.
    if (remembered.has(asked)) {
      setState({ ...nothingYet(), answer: remembered.get(asked), of: key });
      return undefined;
    }
    if (!isReady) {
      setState((before) => (before.of === key ? before : { ...before, answer: null, of: "" }));
      return undefined;
    }
    const stop = new AbortController();
    setState((before) => ({ ...before, pending: true, error: failed.current ? before.error : null }));
    const timer = setTimeout(async () => {
      try {
        const answer = await ask(path, { body: JSON.parse(key), signal: stop.signal });
        remember(asked, answer);
        failed.current = false;
        if (!stop.signal.aborted) setState({ ...nothingYet(), answer, of: key });
      } catch (error) {
        if (stop.signal.aborted) return;
        failed.current = true;
        setState({ ...nothingYet(), error, failed: key });
      }
    }, pause);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [path, key, turn, epoch, isReady]);
  // What is asked next is on its way from the first drawing on, before the effect has run.
  const isNext = Boolean(key) && isReady && state.of !== key && state.failed !== key;
  return { ...state, pending: state.pending || isNext, again: () => setTurn((count) => count + 1) };
}

function remember(key, answer) {
  remembered.set(key, answer);
  if (remembered.size > MOST_REMEMBERED) remembered.delete(remembered.keys().next().value);
}
