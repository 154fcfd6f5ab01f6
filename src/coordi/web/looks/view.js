/** Whole looks around an item that the user takes. */

import { ask } from "../core/api.js";
import { useAnswer } from "../core/answers.js";
import { isWished, rulesForLooks } from "../core/filters.js";
import { t } from "../core/i18n.js";
import { fromCatalogue } from "../core/items.js";
import { given, isKnown, nameOf } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { html, useEffect, useState } from "../core/ui.js";
import { Waiting } from "../outfit/completing.js";
import { FilterPanel } from "../outfit/filter_panel.js";
import { LeftOut } from "../outfit/nothing_fits.js";
import { Understood } from "../outfit/wishes.js";
import { Photo } from "../shared/photo.js";
import { Trouble } from "../shared/trouble.js";
import { LookCard } from "./look.js";

const STEP = 3;
const FROM_CATALOGUE = 12;

export function LooksView() {
  const count = useStore((state) => state.ready?.items ?? null);
  if (!count) return html`<h1>${t("looks.title")}</h1>${count === 0 && html`<p class="quiet">${t("complete.no_catalogue")}</p>`}`;
  return html`<${Around} />`;
}

function Around() {
  const choices = useChoices();
  const [uid, setUid] = useState(/** @type {string | null} */ (null));
  const wished = useStore((state) => isWished(state.saved.filters));
  const around = choices.find((item) => item.uid === uid) ?? (wished ? null : choices[0]);
  return html`<h1>${t("looks.title")}</h1>
    <p class="lead">${t("looks.what")}</p>
    <div class="strip" role="radiogroup" aria-label=${t("looks.around")}>
      ${wished && html`<label class="strip__item strip__item--wish">
        <input type="radio" name="around" value="" checked=${!around} onChange=${() => setUid(null)} /><span>${t("looks.wished")}</span>
      </label>`}
      ${choices.map((item) => html`<label class="strip__item" key=${item.uid} title=${nameOf(item)}>
        <input type="radio" name="around" value=${item.uid} checked=${item.uid === around?.uid} onChange=${() => setUid(item.uid)} />
        <${Photo} item=${item} size=${320} named=${true} />
      </label>`)}
    </div>
    <${FilterPanel} />
    ${(around || wished) && html`<${LooksAround} around=${around} key=${around?.uid ?? ""} />`}`;
}

/** The user's own items first, then some of the catalogue. */
function useChoices() {
  const items = useStore((state) => state.saved.items);
  const epoch = useStore((state) => state.epoch);
  const [shown, setShown] = useState(/** @type {any[]} */ ([]));
  useEffect(() => {
    const stop = new AbortController();
    ask(`catalogue/items?limit=${FROM_CATALOGUE}`, { signal: stop.signal }).then((answer) => setShown(answer.items), () => undefined);
    return () => stop.abort();
  }, [epoch]);
  const own = Object.values(items).filter(isKnown).sort((one, other) => other.added - one.added);
  const others = shown.map(fromCatalogue).filter((item) => !(item.uid in items));
  return [...own, ...others];
}

/** @param {{around: any}} props `around`: null for looks of a wish alone. */
function LooksAround({ around }) {
  const filters = useStore((state) => state.saved.filters);
  const quick = useStore((state) => state.quick);
  const most = useStore((state) => state.vocabulary?.limits.looks ?? STEP);
  const [k, setK] = useState(STEP);
  const rules = rulesForLooks(filters);
  const { answer, error, pending, again } = useAnswer("looks", { around: around && given(around), k, rules, language_model: !quick });
  return html`<section aria-labelledby="around" aria-busy=${pending}>
    <h2 id="around">${around ? t("looks.with", { name: nameOf(around) }) : t("looks.wished.title")}</h2>
    <p class="quiet" role="status" aria-live="polite">${pending ? t("looks.pending") : answer ? t("looks.found", { n: answer.looks.length }) : ""}</p>
    <div role="alert"><${Trouble} error=${error} again=${again} /></div>
    ${!answer && pending && html`<${Waiting} />`}
    ${answer && html`<${Understood} answer=${answer} items=${around ? [around] : []} />`}
    ${answer && html`<ul class=${pending ? "looks cards--stale" : "looks"} role="list">
      ${answer.looks.map((look) => html`<li key=${look.items.map((item) => item.id).join(" ")}><${LookCard} look=${look} around=${around} judge=${answer.judge} /></li>`)}
    </ul>`}
    ${answer?.looks.some((look) => look.lacks.length) && html`<${LeftOut} rules=${answer.left_out} />`}
    ${answer && !answer.looks.length && html`<div class="nothing"><h3>${t("looks.none")}</h3>
      <p>${t(answer.left_out.length ? "nothing.rules" : "looks.none.why")}</p><${LeftOut} rules=${answer.left_out} /></div>`}
    ${answer && answer.looks.length >= k && k < most && html`<p class="completing__more">
      <button type="button" class="button" disabled=${pending} onClick=${() => setK(Math.min(k + STEP, most))}>${t("action.more")}</button></p>`}
  </section>`;
}
