/** The same files as in the archive, in a folder of the user's, where the browser lets a page write into one. */

import { CONTENT, filesOfAll, importFiles } from "./archive.js";

export const canKeepInFolder = () => "showDirectoryPicker" in window;

/** @returns {Promise<FileSystemDirectoryHandle | null>} Null if none was chosen. */
async function chooseFolder() {
  try {
    return await window.showDirectoryPicker({ id: "coordi", mode: "readwrite" });
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw error;
  }
}

/** Takes in what the folder holds, then writes everything there. Null if no folder was chosen. */
export async function keepInFolder() {
  const folder = await chooseFolder();
  if (!folder) return null;
  const found = await readFolder(folder);
  const taken = found ? await importFiles(found) : { items: 0, looks: 0, known: 0, broken: 0 };
  const photos = await folder.getDirectoryHandle("photos", { create: true });
  const { [CONTENT]: content, ...others } = await filesOfAll();
  for (const [path, bytes] of Object.entries(others)) await write(photos, path.slice("photos/".length), bytes);
  await write(folder, CONTENT, content); // Last, so that it never names a photo that isn't there.
  return { ...taken, name: folder.name };
}

async function readFolder(folder) {
  const files = {};
  try {
    files[CONTENT] = await bytesOf(await folder.getFileHandle(CONTENT));
  } catch (error) {
    if (error.name === "NotFoundError") return null;
    throw error;
  }
  try {
    const photos = await folder.getDirectoryHandle("photos");
    for await (const [name, handle] of photos.entries()) {
      if (handle.kind === "file") files[`photos/${name}`] = await bytesOf(handle);
    }
  } catch (error) {
    if (error.name !== "NotFoundError") throw error;
  }
  return files;
}

const bytesOf = async (handle) => new Uint8Array(await (await handle.getFile()).arrayBuffer());

async function write(folder, name, bytes) {
  const stream = await (await folder.getFileHandle(name, { create: true })).createWritable();
  await stream.write(bytes);
  await stream.close();
}
