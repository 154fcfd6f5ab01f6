/** Photos on their way in, each with where it is and what is wrong with it alone. */

import { t } from "../core/i18n.js";
import { dropUpload, takeIn } from "../core/items.js";
import { useStore } from "../core/store.js";
import { html } from "../core/ui.js";
import { Trouble } from "../shared/trouble.js";

export function Uploads() {
  const uploads = useStore((state) => state.uploads);
  const failed = uploads.filter((upload) => upload.stage === "failed");
  const under = uploads.filter((upload) => upload.stage !== "failed");
  return html`<div class="uploads">
    <div role="status" aria-live="polite">
      ${under.length > 0 && html`<p class="uploads__sum">${t("upload.sum", { n: under.length })}</p>`}
    </div>
    <ul role="list">
      ${under.map((upload) => html`<li class="upload-row" key=${upload.key}>
        <span class="upload-row__name">${upload.name || t("upload.pasted")}</span>
        <span class="quiet">${t(`upload.${upload.stage}`)}</span>
        <progress aria-label=${t("upload.progress", { name: upload.name || t("upload.pasted") })} value=${upload.stage === "reading" ? 1 : 2} max="3"></progress>
      </li>`)}
    </ul>
    <div role="alert">
      ${failed.map((upload) => html`<div class="upload-row upload-row--failed" key=${upload.key}>
        <span class="upload-row__name">${upload.name || t("upload.pasted")}</span>
        <${Trouble} error=${upload.error} again=${upload.error?.reason ? undefined : () => takeIn(upload)}>
          <button type="button" class="button" onClick=${() => dropUpload(upload.key)}>${t("upload.drop")}</button>
        </${Trouble}>
      </div>`)}
    </div>
  </div>`;
}
