/** A score as people read it: a number out of 100, a plain word, a bar. */

import { points, t } from "../core/i18n.js";
import { html, useEffect, useRef } from "../core/ui.js";

const WORDS = [[80, "very"], [60, "well"], [40, "either"], [20, "hardly"], [0, "not"]];

/** @param {number} score P(yes). */
export const wordOf = (score) => t(`score.${WORDS.find(([least]) => points(score) >= least)[1]}`);

/** @param {{score: number}} props */
export function Bar({ score }) {
  const ref = useRef(null);
  useEffect(() => ref.current.style.setProperty("--share", String(score)), [score]);
  return html`<span class="bar" aria-hidden="true"><span class="bar__filled" ref=${ref}></span></span>`;
}

/** @param {{score: number, large?: boolean}} props */
export const Score = ({ score, large = false }) => html`<span class=${large ? "score score--large" : "score"}>
  <span class="score__number" aria-hidden="true">${points(score)}</span>
  <span class="score__of" aria-hidden="true">/100</span>
  <span class="unseen">${t("score.spoken", { n: points(score) })}</span>
</span>`;

/** Says that the language model had no part in it. @param {{judge: string}} props */
export const QuickFlag = ({ judge }) =>
  judge === "without-language-model" ? html`<span class="flag" title=${t("quick.explained")}>${t("quick.flag")}</span>` : null;
