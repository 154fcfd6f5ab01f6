/** What would complete the outfit: filters, cards, more of them, or why there are none. */

import { rulesOf } from "../core/filters.js";
import { t } from "../core/i18n.js";
import { useAnswer } from "../core/answers.js";
import { given } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { html, useEffect, useId, useRef, useState } from "../core/ui.js";
import { QuickFlag } from "../shared/score.js";
import { Trouble } from "../shared/trouble.js";
import { FilterPanel } from "./filter_panel.js";
import { Named } from "./named.js";
import { NothingFits } from "./nothing_fits.js";
import { useRefusals } from "./refusals.js";
import { Suggestion } from "./suggestion.js";
import { Understood } from "./wishes.js";

const STEP = 6;

/**
 * @param {{items: import("../core/types.js").Item[], now: any}} props Those of the outfit that can be judged, and the answer
 *   that says how well they go together; null while there is none.
 */
export function Completing({ items, now }) {
  const filters = useStore((state) => state.saved.filters);
  const quick = useStore((state) => state.quick);
  const most = useStore((state) => state.vocabulary?.limits.suggestions ?? STEP);
  const canName = useStore((state) => Boolean(state.ready?.can_write && !state.quick)); // The language model does it.
  const [isOn, setOn] = useState(false);
  const [k, setK] = useState(STEP);
  const outfit = items.map(given);
  const rules = rulesOf(filters);
  useEffect(() => setK(STEP), [JSON.stringify(outfit)]);
  const generate = canName && isOn;
  const body = outfit.length ? { items: outfit, k, rules, language_model: !quick, ...(generate && { generate }) } : null;
  const answering = useAnswer("complete", body);
  const { answer, pending, of, again } = answering;
  const error = useRefusals(answering, body, items);
  // Scores are compared where they are of the same outfit, by the same judge.
  const score = now && of === JSON.stringify(body) && answer.judge === now.judge ? now.score : null;
  // Positions in a reason are those of the request that it answers, which may be the one before.
  const asked = useRef(new Map());
  asked.current.set(JSON.stringify(body), items);
  const answered = asked.current.get(of) ?? items;
  const isMore = answer && answer.suggestions.length >= k && k < most;
  return html`<section class="completing" aria-labelledby="completing" aria-busy=${pending}>
    <div class="completing__head">
      <h2 id="completing">${t("complete.title")}</h2>
      ${answer && html`<${QuickFlag} judge=${answer.judge} />`}
    </div>
    <${FilterPanel}>${canName && html`<${NameSwitch} isOn=${isOn} setOn=${setOn} />`}</${FilterPanel}>
    <p class="quiet" role="status" aria-live="polite">${pending ? t(generate ? "named.pending" : "complete.pending") : statusOf(answer)}</p>
    <div role="alert"><${Trouble} error=${error} again=${again} /></div>
    ${!answer && pending && html`<${Waiting} />`}
    ${answer && html`<${Understood} answer=${answer} items=${answered} />`}
    ${answer && html`<${Named} generated=${answer.generated} />`}
    ${answer && answer.suggestions.length > 0 && html`<ul class=${pending ? "cards cards--stale" : "cards"} role="list">
      ${answer.suggestions.map((suggestion) => html`<li key=${suggestion.item.id}><${Suggestion} suggestion=${suggestion} items=${answered} now=${score} /></li>`)}
    </ul>`}
    ${answer && !answer.suggestions.length && html`<div role="status"><${NothingFits} answer=${answer} /></div>`}
    ${isMore && html`<p class="completing__more"><button type="button" class="button" disabled=${pending} onClick=${() => setK(Math.min(k + STEP, most))}>${t("action.more")}</button></p>`}
  </section>`;
}

function statusOf(answer) {
  if (!answer?.suggestions.length) return "";
  return t(answer.generated.length ? "named.found" : "complete.found", { n: answer.candidates });
}

function NameSwitch({ isOn, setOn }) {
  const id = useId();
  return html`<label class="switch" for=${id} title=${t("named.explained")}>
    <input id=${id} type="checkbox" role="switch" checked=${isOn} onChange=${(event) => setOn(event.target.checked)} />
    <span class="switch__track" aria-hidden="true"></span>${t("named.switch")}
  </label>`;
}

/** Where cards will be. */
export const Waiting = ({ n = 3 }) => html`<ul class="cards" role="list" aria-hidden="true">
  ${Array.from({ length: n }, (_, place) => html`<li key=${place}><div class="card card--waiting"><div class="card__photo"></div></div></li>`)}
</ul>`;
