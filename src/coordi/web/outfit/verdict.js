/** How well the outfit goes together, what to mind, and keeping it. */

import { t, tOr } from "../core/i18n.js";
import * as i18n from "../core/i18n.js";
import { html } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { Bar, QuickFlag, Score, wordOf } from "../shared/score.js";
import { Trouble } from "../shared/trouble.js";
import { KeepForm } from "../kept/keep_form.js";

/**
 * @param {{answered: import("../core/answers.js").Answered, isOf: boolean, items: import("../core/types.js").Item[], unknown: number}} props
 *   `isOf`: the answer is to the outfit as it is now; `items`: those that can be judged; `unknown`: how many can't.
 */
export function Verdict({ answered, isOf, items, unknown }) {
  const { answer, error, pending, again } = answered;
  const isShown = answer && items.length > 1 && (isOf || pending);
  const waits = pending ? t("verdict.pending") : items.length > 1 ? t("verdict.not") : unknown ? t("verdict.unknown", { n: unknown }) : t("verdict.more");
  return html`<section class="verdict" aria-labelledby="verdict" aria-busy=${pending}>
    <h2 id="verdict" class="unseen">${t("verdict.title")}</h2>
    <div class=${pending ? "verdict__score verdict__score--stale" : "verdict__score"} role="status" aria-live="polite">
      ${isShown
        ? html`<${Score} score=${answer.score} large /><div class="verdict__word"><p>${wordOf(answer.score)}</p><${QuickFlag} judge=${answer.judge} /></div>
            <${Bar} score=${answer.score} />
            ${isOf && unknown > 0 && html`<p class="verdict__without">${t("verdict.without", { n: unknown })}</p>`}`
        : html`<p class="verdict__wait">${waits}</p>`}
    </div>
    ${isShown && answer.cautions.length > 0 && html`<ul class="cautions" role="list">
      ${answer.cautions.map((caution) => html`<li key=${caution}><${Icon} name="warning" /><${Caution} text=${caution} /></li>`)}
    </ul>`}
    <div role="alert"><${Trouble} error=${error} again=${again} /></div>
    ${items.length > 0 && html`<${KeepForm} items=${items} score=${isShown && isOf ? answer.score : null} judge=${answer?.judge ?? ""} />`}
  </section>`;
}

/** The server's cautions are English; those that it is known to say are said in the page's language. */
function Caution({ text }) {
  const twice = /^(\d+) of category '(\w+)'$/.exec(text);
  if (twice) return html`<span>${t("caution.twice", { n: Number(twice[1]), category: i18n.category(twice[2]) })}</span>`;
  const beside = /^'(\w+)' beside '(\w+)'$/.exec(text);
  if (beside) return html`<span>${t("caution.beside", { one: i18n.category(beside[1]), other: i18n.category(beside[2]) })}</span>`;
  return html`<span lang="en">${tOr(text, text)}</span>`;
}
