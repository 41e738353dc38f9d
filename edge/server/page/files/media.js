// Pictures, videos and files of messages: take them in, show them, and write them into requests.

import { byId, button, el, newId } from "./dom.js";
import { deleteMedium, loadMedium, saveMedium } from "./store.js";

const KINDS = [
  ["image", /^image\//, /\.(png|jpe?g|webp|gif|bmp|tiff?|avif|heic|heif)$/i],
  ["video", /^video\//, /\.(mp4|mov|m4v|webm|mkv|avi)$/i],
  ["file", /^application\/pdf$/, /\.pdf$/i],
];

/** What each medium is, by id: filled as they are read. */
export const kinds = new Map();
const urls = new Map();

/** Keep a file; returns its medium, or null for a kind that the model cannot see. */
export async function takeFile(file) {
  const found = KINDS.find(([, type, name]) => type.test(file.type) || name.test(file.name ?? ""));
  if (!found) return null;
  const name = file.name || `${found[0]}.${(file.type.split("/")[1] ?? "").split(";")[0]}`;
  const medium = { id: newId(), kind: found[0], name, type: file.type, blob: file.slice(0, file.size, file.type) };
  await saveMedium(medium);
  kinds.set(medium.id, medium.kind);
  return medium;
}

/** Forget a medium that was attached and not sent. */
export async function dropMedium(id) {
  URL.revokeObjectURL(urls.get(id));
  urls.delete(id);
  await deleteMedium(id);
}

/** Read a medium. */
export async function readMedium(id) {
  const medium = await loadMedium(id);
  if (medium) kinds.set(id, medium.kind);
  return medium;
}

/** Write a medium as a content part with its data in it. */
export async function mediumPart(id) {
  const medium = await readMedium(id);
  if (!medium) throw new Error("A picture of this conversation is no longer kept in this browser. Edit the message.");
  const url = await dataUrl(medium.blob);
  if (medium.kind === "file") return { type: "file", file: { filename: medium.name, file_data: url } };
  return medium.kind === "video"
    ? { type: "video_url", video_url: { url } }
    : { type: "image_url", image_url: { url } };
}

/** Write a blob as a data URL. */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Show a medium small; pictures open large. */
export function mediumElement(id) {
  const holder = el("div", { class: "medium" });
  fill(holder, id);
  return holder;
}

async function fill(holder, id) {
  const medium = await readMedium(id);
  if (!medium) {
    holder.append(el("span", { class: "chip", text: "No longer kept" }));
    return;
  }
  if (!urls.has(id)) urls.set(id, URL.createObjectURL(medium.blob));
  const url = urls.get(id);
  const chip = () => el("span", { class: "chip", text: medium.name });
  if (medium.kind === "image") {
    const image = el("img", { src: url, alt: medium.name });
    const open = button(`Show ${medium.name} large`, () => showLarge(url, medium.name), { class: "plain" });
    image.addEventListener("error", () => open.replaceWith(chip())); // a format that only the server can read
    open.replaceChildren(image);
    open.setAttribute("aria-label", `Show ${medium.name} large`);
    holder.append(open);
  } else if (medium.kind === "video") {
    holder.append(el("video", { src: url, controls: true, "aria-label": medium.name, preload: "metadata" }));
  } else holder.append(chip());
}

function showLarge(url, name) {
  const dialog = byId("large");
  const close = button("Close", () => dialog.close(), { sign: "✕", class: "icon close" });
  dialog.replaceChildren(el("img", { src: url, alt: name }), close);
  dialog.showModal();
}

/** Whether this browser may have a camera. */
export function hasCamera() {
  return Boolean(navigator.mediaDevices?.getUserMedia);
}

/** Let the visitor take a picture; gives a file, or null. */
export async function takePicture() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  const dialog = byId("camera");
  const video = el("video", { autoplay: true, playsinline: true, muted: true, "aria-label": "Camera" });
  video.srcObject = stream;
  const file = await new Promise((resolve) => {
    const shoot = async () => {
      const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => {
        resolve(new File([blob], "camera.jpg", { type: "image/jpeg" }));
        dialog.close();
      }, "image/jpeg", 0.92);
    };
    dialog.addEventListener("close", () => resolve(null), { once: true });
    const buttons = [button("Take picture", shoot, { class: "main" }), button("Cancel", () => dialog.close())];
    dialog.replaceChildren(el("h2", { text: "Camera" }), video, el("div", { class: "bar" }, ...buttons));
    dialog.showModal();
  });
  for (const track of stream.getTracks()) track.stop();
  return file;
}
