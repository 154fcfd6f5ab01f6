/** The user's own items, kept in this browser; all of it goes out and comes in as one ZIP. */

import { t } from "../core/i18n.js";
import { forget, notify, putOnTable } from "../core/items.js";
import { nameOf } from "../core/labels.js";
import { useStore } from "../core/store.js";
import { html, useId, useState } from "../core/ui.js";
import { AddRow } from "../outfit/adding.js";
import { Chips } from "../outfit/chips.js";
import { Uploads } from "../outfit/uploads.js";
import { Icon } from "../shared/icons.js";
import { Photo } from "../shared/photo.js";
import { exportAll, importArchive } from "./archive.js";
import { canKeepInFolder, keepInFolder } from "./folder.js";

export function WardrobeView() {
  const items = useStore((state) => state.saved.items);
  const own = Object.values(items).filter((item) => item.kind !== "catalogue").sort((one, other) => other.added - one.added);
  return html`<h1>${t("wardrobe.title")}</h1>
    <p class="lead">${t("wardrobe.what")}</p>
    <${AddRow} /><${Uploads} />
    <p class="quiet" role="status">${t("wardrobe.count", { n: own.length })}</p>
    <ul class="hangers" role="list">${own.map((item) => html`<li key=${item.uid}><${Hanger} item=${item} /></li>`)}</ul>
    <${Moving} />`;
}

function Hanger({ item }) {
  const isOn = useStore((state) => state.saved.pieces.some((piece) => piece.uid === item.uid && piece.on));
  const name = nameOf(item);
  const add = () => {
    putOnTable(item.uid);
    notify(t("notice.added", { name }));
  };
  return html`<article class="hanger" aria-label=${name}>
    <${Photo} item=${item} size=${640} />
    <h2 class="hanger__name">${name}</h2>
    <${Chips} item=${item} />
    <div class="hanger__do">
      ${isOn
        ? html`<span class="hanger__on"><${Icon} name="check" />${t("wardrobe.on")}</span>`
        : html`<button type="button" class="button" onClick=${add}><${Icon} name="add" />${t("card.add")}<span class="unseen"> ${name}</span></button>`}
      <button type="button" class="button button--icon" aria-label=${t("wardrobe.forget", { name })} title=${t("wardrobe.forget", { name })} onClick=${() => forget(item.uid)}><${Icon} name="bin" /></button>
    </div>
  </article>`;
}

/** Out and in. */
function Moving() {
  const [said, setSaid] = useState("");
  const [isWorking, setWorking] = useState(false);
  const id = useId();
  const run = async (work) => {
    setWorking(true);
    setSaid("");
    try {
      setSaid((await work()) ?? "");
    } catch (error) {
      setSaid(t(`import.${error.reason ?? "failed"}`));
    } finally {
      setWorking(false);
    }
  };
  const out = () => run(async () => {
    download(await exportAll(), `coordi-${new Date().toISOString().slice(0, 10)}.zip`);
    return t("export.done");
  });
  const take = (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) run(async () => told(await importArchive(file)));
  };
  const folder = () => run(async () => {
    const taken = await keepInFolder();
    return taken && `${t("folder.done", { name: taken.name })} ${told(taken)}`;
  });
  return html`<section class="moving" aria-labelledby="moving">
    <h2 id="moving">${t("moving.title")}</h2>
    <p class="quiet">${t("moving.what")}</p>
    <div class="moving__do">
      <button type="button" class="button" disabled=${isWorking} onClick=${out}>${t("export.open")}</button>
      <span class="upload"><input class="upload__field" id=${id} type="file" accept=".zip,application/zip" disabled=${isWorking} onChange=${take} />
        <label class="button" for=${id}>${t("import.open")}</label></span>
      ${canKeepInFolder() && html`<button type="button" class="button" disabled=${isWorking} onClick=${folder}>${t("folder.open")}</button>`}
    </div>
    <p class="moving__said" role="status" aria-live="polite">${said}</p>
  </section>`;
}

const told = ({ items, looks, known, broken }) =>
  [
    t("import.done", { items: t("count.items", { n: items }), looks: t("count.looks", { n: looks }) }),
    known ? t("import.known", { n: known }) : "",
    broken ? t("import.broken", { n: broken }) : "",
  ].filter(Boolean).join(" ");

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
