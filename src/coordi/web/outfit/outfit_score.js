/** How well the outfit goes together, what to mind, and keeping it. */

import { t, tOr } from "../core/i18n.js";
import * as i18n from "../core/i18n.js";
import { html } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Bar, QuickFlag, Score, wordOf } from "../shared/score.js";
import { Trouble } from "../shared/trouble.js";
import { KeepForm } from "../saved/keep_form.js";
import { Remarks } from "./reason.js";

/**
 * @param {{answered: import("../core/answers.js").Answered, isOf: boolean, items: import("../core/types.js").Item[], unknown: number}} props
 *   `isOf`: the answer is to the outfit as it is now; `items`: those that can be judged; `unknown`: how many can't.
 */
export function OutfitScore({ answered, isOf, items, unknown }) {
  const { answer, error, pending, again } = answered;
  const isShown = answer && items.length > 1 && (isOf || pending);
  const waits = pending ? t("scored.pending") : items.length > 1 ? t("scored.not") : unknown ? t("scored.unknown", { n: unknown }) : t("scored.more");
  return html`<section class="outfit-score" aria-labelledby="outfit-score" aria-busy=${pending}>
    <h2 id="outfit-score" class="unseen">${t("scored.title")}</h2>
    <div class=${pending ? "outfit-score__score outfit-score__score--stale" : "outfit-score__score"} role="status" aria-live="polite">
      ${isShown
        ? html`<${Score} score=${answer.score} large /><div class="outfit-score__word"><p>${wordOf(answer.score)}</p><${QuickFlag} judge=${answer.judge} /></div>
            <${Bar} score=${answer.score} />
            ${isOf && unknown > 0 && html`<p class="outfit-score__without">${t("scored.without", { n: unknown })}</p>`}`
        : html`<p class="outfit-score__wait">${waits}</p>`}
    </div>
    ${isShown && answer.cautions.length > 0 && html`<ul class="cautions" role="list">
      ${answer.cautions.map((caution) => html`<li key=${caution}><${Icon} name="warning" /><${Caution} text=${caution} language=${answer.language} /></li>`)}
    </ul>`}
    ${isShown && isOf && html`<${Remarks} remarks=${answer.remarks} items=${items} />`}
    <div role="alert"><${Trouble} error=${error} again=${again} /></div>
    ${items.length > 0 && html`<${KeepForm} items=${items} score=${isShown && isOf ? answer.score : null} judge=${answer?.judge ?? ""} />`}
  </section>`;
}

/** English cautions that the server is known to say are said in the page's language. */
function Caution({ text, language }) {
  const twice = /^(\d+) of category '(\w+)'$/.exec(text);
  if (twice) return html`<span>${t("caution.twice", { n: Number(twice[1]), category: i18n.category(twice[2]) })}</span>`;
  const beside = /^'(\w+)' beside '(\w+)'$/.exec(text);
  if (beside) return html`<span>${t("caution.beside", { one: i18n.category(beside[1]), other: i18n.category(beside[2]) })}</span>`;
  return html`<span lang=${language}>${tOr(text, text)}</span>`;
}
