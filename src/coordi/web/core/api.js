/** Requests to coordi's own server, and every way they fail as one kind of error that has a sentence. */

import { language } from "./i18n.js";

const BASE = "/api/v1/";
const TOKEN_KEY = "coordi-token";
const MOST_RETRIES = 6;

/** A request that failed. `code` is the server's, or `unreachable`; `message` is the server's sentence or "", in `language`. */
export class ApiError extends Error {
  /** @param {string} code @param {{message?: string, field?: string, accepted?: string[]}} [problem] @param {string} [language] */
  constructor(code, { message = "", field = "", accepted = [] } = {}, language = "en") {
    super(message);
    this.code = code;
    this.field = field;
    this.accepted = accepted;
    this.language = language;
  }
}

/** @type {Set<(event: "unauthorized" | "busy" | "answered") => void>} */
const listeners = new Set();

/** Tells of a missing token, of a busy server that is asked again, and of an answer. Returns how to stop. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (event) => listeners.forEach((listener) => listener(event));

export const token = () => sessionStorage.getItem(TOKEN_KEY) ?? "";

/** @param {string} value Kept until the tab is closed. */
export function setToken(value) {
  if (value) sessionStorage.setItem(TOKEN_KEY, value);
  else sessionStorage.removeItem(TOKEN_KEY);
}

/**
 * @param {string} path Under `/api/v1/`.
 * @param {{body?: unknown, form?: FormData, signal?: AbortSignal}} [options]
 * @returns {Promise<any>}
 */
export async function ask(path, { body, form, signal } = {}) {
  const response = await send(BASE + path, { body, form, signal });
  try {
    return { ...(await response.json()), language: response.headers.get("Content-Language") };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("internal");
  }
}

/** A photo of the catalogue, where an `img` can't ask for it because a token is needed. */
export async function photoBlob(path, signal) {
  return (await send(path, { signal })).blob();
}

async function send(path, { body, form, signal }, retries = 0) {
  const headers = { "Accept-Language": language() };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const given = form ?? (body === undefined ? undefined : JSON.stringify(body));
  let response;
  try {
    response = await fetch(path, { method: given === undefined ? "GET" : "POST", headers, body: given, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("unreachable");
  }
  if (response.ok) {
    tell("answered");
    return response;
  }
  const problem = await readProblem(response);
  if (problem.code === "busy" && retries < MOST_RETRIES) {
    tell("busy");
    await wait(Math.min(Number(response.headers.get("Retry-After")) || 1, 30) * 1000, signal);
    return send(path, { body, form, signal }, retries + 1);
  }
  if (response.status === 401) tell("unauthorized");
  throw problem;
}

async function readProblem(response) {
  const byStatus = { 401: "unauthorized", 413: "too_large", 404: "not_found", 503: "busy" };
  try {
    const { error } = await response.json();
    if (error?.code) return new ApiError(error.code, error, response.headers.get("Content-Language") ?? "en");
  } catch {
    // A proxy's page, not the server's answer: the status alone says what it was.
  }
  return new ApiError(byStatus[response.status] ?? "internal");
}

/** @param {number} milliseconds @param {AbortSignal} [signal] */
export function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
