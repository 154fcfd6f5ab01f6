/** The first thing that anybody sees: what this is, and the ways in. */

import { t } from "../core/i18n.js";
import { useStore } from "../core/store.js";
import { classes, html } from "../core/ui.js";
import { Icon } from "../shared/icons.js";
import { CatalogueButton, PhotoButton, WordsForm, useDrop } from "./adding.js";
import { Uploads } from "./uploads.js";

export function Opening() {
  const { isOver, handlers } = useDrop();
  const wardrobe = useStore((state) => Object.values(state.saved.items).filter((item) => item.kind !== "catalogue").length);
  return html`<section class="opening">
    <div class="opening__words">
      <h1>${t("opening.title")}</h1>
      <p class="opening__what">${t("opening.what")}</p>
      <p class="quiet">${t("opening.private")}</p>
      ${wardrobe > 0 && html`<p><a class="link" href="#wardrobe">${t("opening.wardrobe", { n: wardrobe })}</a></p>`}
    </div>
    <div class=${classes("dropzone", isOver && "dropzone--over")} ...${handlers}>
      <div class="dropzone__picture" aria-hidden="true"><${Icon} name="hanger" /></div>
      <${PhotoButton} kind="button button--main"><${Icon} name="add" />${t("add.photos")}</${PhotoButton}>
      <${PhotoButton} kind="button" camera><${Icon} name="camera" />${t("add.camera")}</${PhotoButton}>
      <p class="quiet dropzone__hint">${t("opening.drop")}</p>
      <div class="dropzone__or"><span>${t("opening.or")}</span></div>
      <${WordsForm} />
      <${CatalogueButton} />
    </div>
    <${Uploads} />
  </section>`;
}
