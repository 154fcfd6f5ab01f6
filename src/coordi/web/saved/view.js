/** Looks that were kept: opened again, deleted with a way back, two of them compared. */

import { date, points, t } from "../core/i18n.js";
import { notify, wear } from "../core/items.js";
import { save, useStore } from "../core/store.js";
import { html, useState } from "../core/ui.js";
import { Collage } from "../shared/collage.js";
import { Icon } from "../shared/icons.js";
import { ItemList } from "../shared/item_list.js";
import { Bar, QuickFlag, Score, wordOf } from "../shared/score.js";
import { Compare } from "./compare.js";

export function KeptView() {
  const kept = useStore((state) => state.saved.kept);
  const [chosen, setChosen] = useState(/** @type {string[]} */ ([]));
  const [isComparing, setComparing] = useState(false);
  const two = chosen.map((uid) => kept.find((look) => look.uid === uid)).filter(Boolean);
  const choose = (uid) => setChosen(chosen.includes(uid) ? chosen.filter((one) => one !== uid) : [...chosen, uid].slice(-2));
  if (isComparing && two.length === 2) return html`<${Compare} looks=${two} onClose=${() => setComparing(false)} />`;
  return html`<h1>${t("kept.title")}</h1>
    ${kept.length
      ? html`<div class="kept__bar">
          <p class="quiet">${t("kept.what", { n: kept.length })}</p>
          <button type="button" class="button" disabled=${two.length !== 2} onClick=${() => setComparing(true)}>${t("kept.compare", { n: two.length })}</button>
        </div>
        <ul class="looks" role="list">${kept.map((look) => html`<li key=${look.uid}><${KeptLook} look=${look} isChosen=${chosen.includes(look.uid)} onChoose=${() => choose(look.uid)} /></li>`)}</ul>`
      : html`<div class="nothing"><${Icon} name="heart" /><h2>${t("kept.none")}</h2><p>${t("kept.none.what")}</p><a class="button" href="#outfit">${t("nav.outfit")}</a></div>`}`;
}

function KeptLook({ look, isChosen, onChoose }) {
  const put = () => {
    wear(look.items);
    location.hash = "outfit";
  };
  const remove = () => {
    save(({ kept }) => ({ kept: kept.filter((one) => one.uid !== look.uid) }));
    notify(t("notice.deleted", { name: look.name }), () => save(({ kept }) => ({ kept: [look, ...kept].sort((one, other) => other.added - one.added) })));
  };
  return html`<article class="look" aria-label=${look.name}>
    <${Collage} items=${look.items} />
    <div class="look__said">
      <h2 class="look__name">${look.name}</h2>
      <p class="quiet">${date(look.added)}</p>
      ${look.score === null
        ? html`<p class="quiet">${t("kept.unscored")}</p>`
        : html`<div class="look__score"><${Score} score=${look.score} /><span>${wordOf(look.score)}</span><${QuickFlag} judge=${look.judge} /></div><${Bar} score=${look.score} />`}
      <${ItemList} items=${look.items} />
      <div class="look__do">
        <button type="button" class="button button--main" onClick=${put}>${t("look.wear")}</button>
        <label class="button button--check"><input type="checkbox" checked=${isChosen} onChange=${onChoose} />${t("kept.choose")}<span class="unseen"> ${look.name}${look.score === null ? "" : ` ${points(look.score)}`}</span></label>
        <button type="button" class="button button--icon" aria-label=${t("kept.delete", { name: look.name })} title=${t("kept.delete", { name: look.name })} onClick=${remove}><${Icon} name="bin" /></button>
      </div>
    </div>
  </article>`;
}
